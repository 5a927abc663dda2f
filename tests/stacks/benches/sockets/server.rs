//! The server that is measured against, in a process of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Once};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mstr_fake::loopback::Authority;
use mstr_suite::cores;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};

use crate::answers::Answers;

/// The word that makes this program the server.
pub(crate) const SERVE: &str = "--serve";

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    _stdin: ChildStdin,
    pub(crate) plain: String,
    pub(crate) tls: String,
    pub(crate) authority: String,
    pub(crate) authority_file: PathBuf,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = on_first_core(&own);
        let mut child = command.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut lines = BufReader::new(stdout);
        let mut line = || -> io::Result<String> {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            Ok(line.trim().to_owned())
        };
        let (plain, tls, authority_file) = (line()?, line()?, PathBuf::from(line()?));
        let authority = std::fs::read_to_string(&authority_file)?;
        Ok(Self { child, _stdin: stdin, plain, tls, authority, authority_file })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.authority_file));
    }
}

/// A program on the first core, where one can choose.
fn on_first_core(program: &Path) -> Command {
    match cores::allowed()[..] {
        [first, ..] if Command::new("taskset").arg("--version").output().is_ok() => {
            cores::on(&[first], program)
        }
        _ => Command::new(program),
    }
}

/// Leaves the server's core to it, from now on: this program has the others, and so have its threads and
/// the programs that it starts. Prints what it has done.
pub(crate) fn keep_off() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let allowed = cores::allowed();
        let others = allowed.get(1..).filter(|others| !others.is_empty());
        let done = others.is_some_and(|others| {
            let words = ["-c", "-p", &cores::list(others), &std::process::id().to_string()];
            Command::new("taskset").args(words).output().is_ok_and(|it| it.status.success())
        });
        println!(
            "\n{}",
            match done {
                true =>
                    "The server has a core; clients have the others, with all of their threads.",
                false => "The system chooses the cores of the server and of clients.",
            }
        );
    });
}

/// Variables that some clients prefer to what a program says: then they would reach the server over a proxy,
/// or not trust it.
const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

/// A client in a program of its own, which reaches the server as this program does.
pub(crate) fn client(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

pub(crate) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // This program ends when the one that started it has ended, which closes the pipe.
    std::thread::spawn(|| {
        drop(io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    runtime.block_on(async {
        let authority = Authority::new().unwrap();
        let identity = authority.issue("localhost").unwrap();
        let tls = tokio_rustls::TlsAcceptor::from(config(&identity.pem()));
        let (plain, secure) = (listen().await, listen().await);
        let answers = Answers::new();
        let name = format!("sockets-{}.pem", std::process::id());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, authority.pem()).unwrap();
        println!("http://localhost:{}", plain.local_addr().unwrap().port());
        println!("https://localhost:{}", secure.local_addr().unwrap().port());
        println!("{}", file.display());
        io::stdout().flush().unwrap();
        loop {
            tokio::select! {
                stream = accept(&plain) => drop(tokio::task::spawn(answer(answers.clone(), stream))),
                stream = accept(&secure) => {
                    let (tls, answers) = (tls.clone(), answers.clone());
                    tokio::task::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(answers, stream).await;
                        }
                    });
                }
            }
        }
    })
}

fn config(pem: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().await.unwrap().0;
    stream.set_nodelay(true).unwrap();
    stream
}

async fn answer(
    answers: Answers,
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) {
    let service = service_fn(move |request| answers.clone().to(request));
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // Clients may hang up.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}
