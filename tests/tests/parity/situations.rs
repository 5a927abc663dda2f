//! The recorded situations, built with our client.

use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use mstr::{
    ApiTokenRequest, Connection, ConnectionBuilder, Credentials, IdentityToken, Locale,
    SharedTransport, WorkstationData,
};
use mstr_fake::{CaptureTransport, Fault, Server, ServerBuilder, VirtualTime};
use mstr_suite::{Lab, World, server};

const TUTORIAL: &str = "B7CA92F04B9FAE8D941C3E9B7E0CD754";
const OTHER: &str = "CE52831411E696C8BD2F0080EFD5AF44";
const APPLICATION: &str = "C2B2023642F6753A2EF159A75E0CFF29";
const JSON: &str = "application/json;charset=UTF-8";

/// A server, and a client whose requests are noted.
pub(super) struct Rig {
    pub(super) world: World,
    pub(super) capture: CaptureTransport,
    time: VirtualTime,
}

impl Rig {
    pub(super) fn new(lab: &Lab, server: ServerBuilder) -> Self {
        let Lab::Memory(time) = lab else { panic!("in memory") };
        let world = lab.start(server);
        let capture = CaptureTransport::new(world.transport.clone());
        Self { world, capture, time: time.clone() }
    }

    fn with(&self, credentials: Credentials) -> ConnectionBuilder<SharedTransport> {
        Connection::builder(&self.world.base_url)
            .credentials(credentials)
            .seed(7)
            .transport(self.capture.clone())
    }

    fn alice(&self) -> ConnectionBuilder<SharedTransport> {
        self.with(Credentials::standard("alice", "secret"))
    }

    async fn connect(&self) -> Connection {
        self.alice().connect().await.unwrap()
    }

    async fn in_project(&self) -> Connection {
        self.alice().project_id(TUTORIAL).connect().await.unwrap()
    }

    fn kill(&self) {
        self.world.server(Server::expire_all_sessions);
    }

    async fn pass(&self, seconds: u64) {
        self.time.sleep(Duration::from_secs(seconds)).await;
    }
}

async fn echo(connection: &Connection) {
    drop(connection.get("/api/echo").send().await);
}

pub(super) struct Situation {
    pub(super) name: &'static str,
    pub(super) server: fn() -> ServerBuilder,
    pub(super) program: fn(Rig) -> LocalBoxFuture<'static, ()>,
}

macro_rules! situations {
    ($($name:ident in $server:expr => |$rig:ident| $program:block)+) => {
        pub(super) const SITUATIONS: &[Situation] = &[$(Situation {
            name: stringify!($name),
            server: || $server,
            program: |$rig| Box::pin(async move { $program }),
        },)+];
    };
}

fn version(version: &str) -> ServerBuilder {
    server().server_version(version)
}

situations! {
    app_type_both_rejected in server()
        .fault(Fault::answer("/api/auth/login", 400, JSON, r#"{"code":"ERR006","message":"constraint violations"}"#)) => |rig| {
        assert!(rig.alice().connect().await.is_err());
    }
    app_type_rejected_constraint_violations in version("11.3.0760.00001")
        .reject_application_type(76, "constraint violations") => |rig| {
        rig.connect().await;
    }
    close_then_wait_resurrects in server() => |rig| {
        let connection = rig.connect().await;
        connection.close().await;
        rig.pass(3).await;
        echo(&connection).await;
    }
    close_twice in server() => |rig| {
        let connection = rig.in_project().await;
        connection.close().await;
        connection.close().await;
        echo(&connection).await;
        drop(connection.fetch_status().await);
        connection.open().await.ok();
        echo(&connection).await;
    }
    cookies_kept in server() => |rig| {
        let connection = rig.connect().await;
        for _ in 0..4 {
            echo(&connection).await;
        }
    }
    cookies_rotation in server().rotate_jsessionid(true) => |rig| {
        let connection = rig.in_project().await;
        for _ in 0..3 {
            echo(&connection).await;
        }
    }
    delegate_ok in server() => |rig| {
        let owner = rig.connect().await;
        let token = owner.create_identity_token().await.unwrap();
        let borrower = rig.with(Credentials::identity_token(token.expose_token())).connect().await.unwrap();
        drop(borrower.validate_identity_token(&token).await);
        echo(&borrower).await;
        borrower.close().await;
    }
    delegate_refused_no_credentials in server() => |rig| {
        assert!(rig.with(Credentials::identity_token("ID-bad")).connect().await.is_err());
    }
    delegate_refused_other_error in server().fault("delegate:1:error=403,ERR014".parse().unwrap()) => |rig| {
        assert!(rig.with(Credentials::identity_token("ID-x")).connect().await.is_err());
    }
    expiry_both in server().session_timeout(Duration::from_secs(2)) => |rig| {
        let connection = rig.in_project().await;
        rig.pass(3).await;
        echo(&connection).await;
    }
    expiry_local_session_alive in server() => |rig| {
        let connection = rig.in_project().await;
        rig.pass(3).await;
        echo(&connection).await;
    }
    expiry_timeout_unknown in server()
        .fault("inspect:1:error=403,ERR014".parse().unwrap()) => |rig| {
        drop(rig.alice().connect().await);
    }
    expiry_active_use_not_counted in server().session_timeout(Duration::from_secs(2)) => |rig| {
        let connection = rig.connect().await;
        for _ in 0..32 {
            rig.time.sleep(Duration::from_millis(250)).await;
            echo(&connection).await;
        }
    }
    get_connection_inside_workstation in server() => |rig| {
        let workstation = rig.connect().await;
        let token = workstation.expose_token().unwrap();
        let cookies = rig.capture.captured().last().unwrap().headers["cookie"].to_str().unwrap().to_owned();
        let cookies: Vec<_> = cookies
            .split("; ")
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
            .collect();
        let document = serde_json::json!({ "defaultEnvironment": {
            "url": rig.world.base_url, "headers": { "x-mstr-authtoken": &*token }, "cookies": cookies,
        }});
        let data = WorkstationData::from_json(&document.to_string()).unwrap();
        let borrowed = Connection::from_workstation(&data)
            .project_id(TUTORIAL)
            .transport(rig.capture.clone())
            .connect()
            .await
            .unwrap();
        echo(&borrowed).await;
    }
    killed_before_local_timeout in server() => |rig| {
        let connection = rig.connect().await;
        rig.kill();
        echo(&connection).await;
        echo(&connection).await;
        drop(connection.post("/api/echo").json(&serde_json::json!({})).send().await);
        drop(connection.fetch_projects().await);
        drop(connection.select_project("MicroStrategy Tutorial").await);
        drop(connection.fetch_user().await);
        drop(connection.fetch_status().await);
        drop(connection.renew().await);
        echo(&connection).await;
    }
    login_anonymous in server() => |rig| {
        rig.with(Credentials::anonymous()).connect().await.unwrap();
    }
    login_api_token in server().api_token("APITOKEN-0001", "alice") => |rig| {
        rig.with(Credentials::api_token("APITOKEN-0001")).connect().await.unwrap();
    }
    login_ldap in Server::builder().ldap_user("alice", "secret") => |rig| {
        rig.with(Credentials::ldap("alice", "secret")).connect().await.unwrap();
    }
    login_no_password in server() => |rig| {
        assert!(rig.with(Credentials::ldap("alice", "")).connect().await.is_err());
    }
    login_standard in server() => |rig| {
        let connection = rig.connect().await;
        echo(&connection).await;
        for _ in 0..3 {
            connection.fetch_user().await.unwrap();
            connection.fetch_server().await.unwrap();
        }
        connection.close().await;
    }
    login_unicode_credentials in Server::builder().user("jürgen ß", "pä&s=s+w%rd") => |rig| {
        rig.with(Credentials::standard("jürgen ß", "pä&s=s+w%rd")).connect().await.unwrap();
    }
    login_wrong_password in server() => |rig| {
        assert!(rig.with(Credentials::standard("alice", "wrong")).connect().await.is_err());
    }
    options_all in server() => |rig| {
        let builder = rig.alice().working_set(25).max_search(7).application_id(APPLICATION);
        builder.locale(Locale::all("de_de")).connect().await.unwrap();
    }
    options_application_id_old_server in version("11.3.0760.00001") => |rig| {
        rig.alice().application_id(APPLICATION).connect().await.unwrap();
    }
    options_bounds in server() => |rig| {
        rig.alice().working_set(3).connect().await.unwrap();
    }
    options_locale_forms in server() => |rig| {
        rig.alice().locale(Locale::all("fr_fr")).connect().await.unwrap();
        rig.alice().locale(Locale::all("en_us").time_zone("Europe/Warsaw")).connect().await.unwrap();
        rig.alice().locale(Locale::new().number("de_de")).connect().await.unwrap();
        rig.alice().locale(Locale::new().display("pl_pl").time_zone("UTC")).connect().await.unwrap();
    }
    project_by_id in server() => |rig| {
        echo(&rig.in_project().await).await;
    }
    project_by_name in server() => |rig| {
        let builder = rig.alice().project_name("MicroStrategy Tutorial");
        echo(&builder.connect().await.unwrap()).await;
    }
    project_clear in server() => |rig| {
        let connection = rig.in_project().await;
        let same = connection.select_project(TUTORIAL).await.unwrap();
        drop(same);
        echo(&connection.without_project()).await;
    }
    project_temporary_change in server() => |rig| {
        let connection = rig.in_project().await;
        let scope = connection.select_project(OTHER).await.unwrap();
        drop(scope.get("/api/echo").send().await);
        echo(&connection.without_project()).await;
    }
    project_unknown_id_quiet in server() => |rig| {
        drop(rig.alice().project_id("00000000000000000000000000000000").connect().await);
    }
    project_unknown_name in server() => |rig| {
        drop(rig.alice().project_name("No Such Project").connect().await);
    }
    renew_5xx in server().fault("renew:*:status=503".parse().unwrap()) => |rig| {
        let connection = rig.connect().await;
        drop(connection.renew().await);
        echo(&connection).await;
    }
    renew_alive in server() => |rig| {
        let connection = rig.connect().await;
        for _ in 0..3 {
            connection.renew().await.unwrap();
        }
    }
    renew_dead in server() => |rig| {
        let connection = rig.in_project().await;
        rig.kill();
        connection.renew().await.unwrap();
        echo(&connection).await;
    }
    status_active_and_not in server() => |rig| {
        let connection = rig.connect().await;
        connection.fetch_status().await.unwrap();
        rig.kill();
        connection.fetch_status().await.unwrap();
    }
    threads_20_expire_alive in server() => |rig| {
        let connection = rig.connect().await;
        rig.pass(3).await;
        join_all((0..20).map(|_| echo(&connection))).await;
        echo(&connection).await;
    }
    threads_20_expire_dead in server() => |rig| {
        let connection = rig.connect().await;
        rig.kill();
        join_all((0..20).map(|_| echo(&connection))).await;
    }
    tokens_identity_and_api in server().user("administrator", "root") => |rig| {
        let connection = rig.connect().await;
        drop(connection.create_identity_token().await.unwrap());
        drop(connection.validate_identity_token(&IdentityToken::from("wrong")).await);
        let token = connection.create_api_token(ApiTokenRequest::new()).await.unwrap().token;
        let other = ApiTokenRequest::new().user("54F3D26011D2896560009A8E67019608");
        drop(connection.create_api_token(other).await);
        rig.with(Credentials::api_token(token.expose_token())).connect().await.unwrap();
    }
    tokens_refused in server().fault("identity-token:1:error=403,ERR014,-1".parse().unwrap()) => |rig| {
        let connection = rig.connect().await;
        assert!(connection.create_identity_token().await.is_err());
    }
    version_11_1_0300 in version("11.1.0300.00001") => |rig| {
        drop(rig.alice().connect().await);
    }
    version_11_1_0400 in version("11.1.0400.00001") => |rig| {
        drop(rig.alice().connect().await);
    }
    version_11_4_0300 in version("11.4.0300.00001") => |rig| {
        drop(rig.alice().connect().await);
    }
    version_11_5_0600 in version("11.5.0600.00001") => |rig| {
        drop(rig.alice().connect().await);
    }
}
