//! How to test code of your own that uses a connection: against the fake server, in memory.
//!
//! ```text
//! cargo test --example user_tests
//! ```
//!
//! The functions at the top stand for your program; the tests below say what they do when a session
//! is lost, the server is down, the password is wrong, or hours pass. None of them opens a socket or
//! waits. In a package of yours the fake is `mstr::fake`, with the feature `fake` of `mstr-sdk` in the
//! dev-dependencies, and tokio has the feature `test-util`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Duration;

use mstr::prelude::*;
use mstr::{Page, blocking};
use serde::Deserialize;

fn main() {
    println!("to run the tests: cargo test --example user_tests");
}

/// A cube, as far as this program wants to know it.
#[derive(Deserialize)]
struct Cube {
    name: String,
}

/// The names of the cubes that the user may see.
///
/// # Errors
///
/// Those of the library.
pub async fn cube_names(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut pages = connection.get("/api/cubes").pages(2);
    let mut names = Vec::new();
    while let Some(page) = pages.next().await? {
        names.extend(names_in(&page)?);
    }
    Ok(names)
}

/// The same for threads.
///
/// # Errors
///
/// Those of the library.
pub fn cube_names_blocking(connection: &blocking::Connection) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for page in connection.get("/api/cubes").pages(2) {
        names.extend(names_in(&page?)?);
    }
    Ok(names)
}

fn names_in(page: &Page) -> Result<Vec<String>, Error> {
    Ok(page.json::<Vec<Cube>>()?.into_iter().map(|cube| cube.name).collect())
}

/// Publishes a cube, once: a second time would start the whole refresh again.
///
/// # Errors
///
/// Those of the library; [`Error::may_have_been_executed`] says whether to look before another try.
pub async fn publish(connection: &Connection, id: &str) -> Result<(), Error> {
    let request = connection.post(format!("/api/cubes/{id}")).timeout(Duration::from_secs(60));
    request.send().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use mstr_fake::{
        FakeTransport, Method, Purpose, Server, ServerBuilder, TokioTime, VirtualTime,
    };
    use tokio::time::Instant;

    use super::*;

    /// A server with three cubes, which lists them in pages.
    fn server() -> ServerBuilder {
        let cubes = |id: &str, name: &str| serde_json::json!({ "id": id, "name": name });
        let list = [cubes("C1", "Sales"), cubes("C2", "Stock"), cubes("C3", "Staff")];
        Server::builder()
            .user("alice", "secret")
            .endpoint(Method::GET, "/api/cubes", move |request| {
                let number = |name| request.query_parameter(name)?.parse::<usize>().ok();
                let (offset, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(9));
                serde_json::Value::from_iter(list.iter().skip(offset).take(limit).cloned())
            })
            .endpoint(Method::POST, "/api/cubes/{id}", |_| (202, serde_json::json!({})))
    }

    /// A description of a connection to it, as the program's `main` would make one.
    fn to(fake: &FakeTransport, password: &str) -> ConnectionBuilder<mstr::SharedTransport> {
        Connection::builder(fake.base_url()).standard("alice", password).transport(fake.clone())
    }

    fn logins(fake: &FakeTransport) -> usize {
        fake.server(|server| server.journal().count(Purpose::Login))
    }

    #[tokio::test]
    async fn names_of_cubes_survive_a_lost_session() -> Result<(), Error> {
        // When the second page is asked for, the session has just ended.
        let server = server().fault("path=/api/cubes:2:expire".parse().unwrap());
        let fake = FakeTransport::new(server.build(), TokioTime::current());
        let connection = to(&fake, "secret").connect().await?;

        assert_eq!(cube_names(&connection).await?, ["Sales", "Stock", "Staff"]);

        assert_eq!(logins(&fake), 2);
        connection.close().await;
        assert_eq!(fake.server(|server| server.open_sessions()), 0);
        Ok(())
    }

    /// Paused: the pause before the second attempt takes no time.
    #[tokio::test(start_paused = true)]
    async fn names_of_cubes_are_asked_for_again_after_a_503() -> Result<(), Error> {
        let server = server().fault("path=/api/cubes:1:status=503,retry-after=20".parse().unwrap());
        let fake = FakeTransport::new(server.build(), TokioTime::current());
        let connection = to(&fake, "secret").connect().await?;

        let begun = Instant::now();
        assert_eq!(cube_names(&connection).await?.len(), 3);

        assert!(begun.elapsed() >= Duration::from_secs(20), "the server asked to wait");
        connection.close().await;
        Ok(())
    }

    #[tokio::test]
    async fn publishing_is_not_repeated_when_the_answer_is_lost() -> Result<(), Error> {
        let server = server().fault("path=/api/cubes/*:1:reset-after".parse().unwrap());
        let fake = FakeTransport::new(server.build(), TokioTime::current());
        let connection = to(&fake, "secret").connect().await?;

        let error = publish(&connection, "C1").await.unwrap_err();

        assert!(error.may_have_been_executed(), "{error}");
        let calls = fake.server(|server| server.calls(Method::POST, "/api/cubes/{id}"));
        assert_eq!(calls.arrived, 1);
        connection.close().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_wrong_password_is_submitted_once() {
        let fake = FakeTransport::new(server().build(), TokioTime::current());
        let connection = to(&fake, "wrong").build().unwrap();

        for _ in 0..2 {
            let error = cube_names(&connection).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(!error.is_retryable());
        }

        assert_eq!(logins(&fake), 1);
    }

    /// Virtual time: the night passes at once, and the session does not survive it.
    #[tokio::test(start_paused = true)]
    async fn names_of_cubes_are_there_the_next_morning() -> Result<(), Error> {
        let fake = FakeTransport::new(server().build(), TokioTime::current());
        let connection = to(&fake, "secret").connect().await?;

        assert_eq!(cube_names(&connection).await?.len(), 3);
        tokio::time::sleep(Duration::from_secs(12 * 3_600)).await;
        assert_eq!(cube_names(&connection).await?.len(), 3);

        assert_eq!(logins(&fake), 2);
        connection.close().await;
        Ok(())
    }

    /// Threads wait in the fake's own virtual time, so this takes no time either.
    #[test]
    fn names_of_cubes_are_there_for_threads() -> Result<(), Error> {
        let server = server().fault("path=/api/cubes:1:status=503".parse().unwrap());
        let fake = FakeTransport::new(server.build(), VirtualTime::new());
        let connection = blocking::Connection::builder(fake.base_url())
            .standard("alice", "secret")
            .blocking_transport(fake.clone())
            .connect()?;

        assert_eq!(cube_names_blocking(&connection)?, ["Sales", "Stock", "Staff"]);

        connection.close();
        assert_eq!(fake.server(|server| server.open_sessions()), 0);
        Ok(())
    }
}
