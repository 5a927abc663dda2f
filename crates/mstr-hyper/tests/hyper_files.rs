//! Bodies of tokio's files and readers.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::io::Write as _;
use std::sync::mpsc;

use common::{read_chunked, read_request, serve};
use http::Request;
use mstr_core::{Body, Transport as _};
use mstr_hyper::{HyperTransport, file_body, read_body};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn file(content: &[u8]) -> File {
    let mut file = File::from_std(tempfile::tempfile().unwrap());
    file.write_all(content).await.unwrap();
    file.rewind().await.unwrap();
    file
}

async fn send(body: Body, address: std::net::SocketAddr) {
    let request = Request::post(format!("http://{address}/")).body(body).unwrap();
    assert_eq!(HyperTransport::new().unwrap().send(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn file_is_sent_from_its_position_with_its_length_and_again() {
    let content: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let (seen, requests) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        while let Some((_, body)) = read_request(&mut stream) {
            seen.send(body).unwrap();
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let mut file = file(&content).await;
    file.seek(std::io::SeekFrom::Start(5)).await.unwrap();
    let body = file_body(file).await.unwrap();
    assert_eq!(body.len_hint(), Some(299_995));
    send(body.try_clone().unwrap(), server).await;
    send(body, server).await;
    for _ in 0..2 {
        assert!(requests.recv().unwrap() == content[5..]);
    }
    send(file_body(self::file(b"").await).await.unwrap(), server).await;
    assert!(requests.recv().unwrap().is_empty());
    // What tokio has read ahead is not skipped.
    let mut file = self::file(b"0123456789").await;
    let mut begun = [0; 2];
    file.read_exact(&mut begun).await.unwrap();
    send(file_body(file).await.unwrap(), server).await;
    assert_eq!(requests.recv().unwrap(), b"23456789");
}

#[tokio::test]
async fn reader_is_sent_once_in_chunks() {
    let (seen, requests) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        let (head, _) = read_request(&mut stream).unwrap();
        assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
        seen.send(read_chunked(&mut stream)).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let (mut writer, reader) = tokio::io::duplex(10);
    let body = read_body(reader);
    assert!(!body.is_replayable());
    let writing = async {
        writer.write_all(b"as it comes").await.unwrap();
        drop(writer);
    };
    tokio::join!(send(body, server), writing);
    assert_eq!(requests.recv().unwrap(), b"as it comes");
}

#[tokio::test]
async fn file_that_becomes_shorter_is_an_error_of_the_body() {
    let file = file(&[b'x'; 200_000]).await;
    let handle = file.try_clone().await.unwrap();
    let body = file_body(file).await.unwrap();
    handle.set_len(100).await.unwrap();
    let error = body.collect(usize::MAX).await.unwrap_err();
    assert!(mstr_core::Error::from(error).report().contains("199900 bytes are missing"));
    let folder = File::open(std::env::temp_dir()).await.unwrap();
    assert!(file_body(folder).await.is_err());
}
