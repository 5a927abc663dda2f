//! E: what an error tells, whatever the server says.

use mstr::ErrorKind;
use mstr_fake::{Fault, Purpose};
use mstr_suite::{Lab, server};

const JSON: &str = "application/json;charset=UTF-8";

/// 41.
#[test]
fn a_login_that_is_refused_in_any_words_is_an_error_with_its_status() {
    let bodies =
        ["", "{}", "[]", "null", "\"no\"", "{\"message\":\"no\"}", "{\"errors\":[]}", "<p>"];
    // None of the words are the server's, which may have counted the password all the same.
    let statuses = [
        (401, ErrorKind::Gateway, 2),
        (403, ErrorKind::Gateway, 2),
        (404, ErrorKind::NotFound, 1),
        (500, ErrorKind::Server, 2),
    ];
    for (status, kind, logins) in statuses {
        for body in bodies {
            Lab::in_memory(async move |lab| {
                let fault = Fault::answer("/api/auth/login", status, JSON, body);
                let world = lab.start(server().fault(fault));
                let error = world.builder().connect().await.unwrap_err();
                assert_eq!(error.kind(), kind, "{status} {body}");
                assert_eq!(error.status().unwrap().as_u16(), status);
                assert_eq!(error.operation(), Some("login"));
                assert_eq!(world.logins(), logins, "{status} {body}");
            });
        }
    }
}

/// 41: A success that is none: nothing stands where the token should.
#[test]
fn an_answer_without_what_was_asked_for_is_an_error_that_says_so() {
    for body in ["", "{}", "[]", "null", "7"] {
        Lab::in_memory(async move |lab| {
            let login = Fault::answer("/api/auth/login", 200, JSON, body).once();
            let world = lab.start(server().fault(login));
            let error = world.builder().connect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
            assert!(error.to_string().contains("X-MSTR-AuthToken"), "{error}");

            let connection = world.connect().await;
            world.server(|server| {
                for path in ["/api/sessions/userInfo", "/api/auth/apiTokens", "/api/projects"] {
                    server.add_fault(Fault::answer(path, 200, JSON, body));
                }
            });
            if body != "{}" {
                let error = connection.fetch_user().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
            }
            let token = connection.create_api_token(mstr::ApiTokenRequest::new()).await;
            assert_eq!(token.unwrap_err().kind(), ErrorKind::Decode, "{body}");
            if body != "[]" {
                let error = connection.select_project("MicroStrategy Tutorial").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
            }
            connection.close().await;
        });
    }
}

/// 41: The user is reported as missing only if the server has said so.
#[test]
fn a_refused_question_about_the_user_is_an_error_not_a_missing_user() {
    for status in [400, 403, 500] {
        Lab::in_memory(async move |lab| {
            let refusal = Fault::answer("/api/sessions/userInfo", status, JSON, "{}");
            let world = lab.start(server().fault(refusal));
            let connection = world.connect().await;
            let error = connection.fetch_user().await.unwrap_err();
            assert_eq!(error.status().unwrap().as_u16(), status);
            connection.close().await;
        });
    }
}

/// 42.
#[test]
fn a_base_url_that_leads_elsewhere_is_recognised_by_the_first_answer() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().base_path("/Elsewhere"));
        let wrong = world.base_url.replace("/Elsewhere", "/MicroStrategyLibrary");
        let connecting = mstr::Connection::builder(&wrong)
            .standard("alice", "secret")
            .transport(world.transport.clone())
            .connect();
        let error = connecting.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!((error.operation(), error.status().unwrap().as_u16()), (Some("login"), 404));

        // A servlet container says it with a page.
        let page = Fault::page(Purpose::Login, 404, "<html>HTTP Status 404</html>");
        let error = lab.start(server().fault(page)).builder().connect().await.unwrap_err();
        assert!(error.to_string().contains("check the base URL"), "{error}");
    });
}

/// 43.
#[test]
fn every_error_of_an_answer_is_kept_in_fields_of_its_own() {
    let body = r#"{"errors":[{"code":"ERR001","iServerCode":-2147216373,"message":"one",
        "ticketId":"f39db2e12d5b4cb9b4d32fc6e439045e"},{"code":"ERR006","message":"two"},
        {"code":"ERR007","message":"three"}]}"#;
    Lab::in_memory(async move |lab| {
        let world = lab.start(server().fault(Fault::answer("/api/echo", 400, JSON, body)));
        let connection = world.connect().await;
        let error = connection.get("/api/echo").send().await.unwrap_err();
        let said = error.server().unwrap();
        assert_eq!(said.code, *"ERR001");
        assert_eq!(said.iserver_code, Some(-2_147_216_373));
        assert_eq!(said.ticket.as_ref().unwrap().as_str(), "f39db2e12d5b4cb9b4d32fc6e439045e");
        let further: Vec<_> = said.further.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(further, ["two", "three"]);
        assert_eq!(error.status().unwrap(), 400);
        assert_eq!(error.generation(), connection.generation());
        assert_eq!((error.operation(), error.attempts()), (Some("call"), 1));

        let raw = connection.get("/api/echo").send_raw().await.unwrap();
        assert_eq!(raw.headers()["content-type"], JSON, "and headers to callers that want them");
        assert_eq!(raw.text().await.unwrap(), body);
        connection.close().await;
    });
}
