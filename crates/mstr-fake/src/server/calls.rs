//! What a session can ask for: itself, its user, projects, and a few endpoints for tests.

use http::header::{HeaderValue, LOCATION};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::answers;
use super::body::ReplyBody;
use super::incoming::Incoming;
use super::model::Model;
use crate::endpoint::percent_decoded;

const USER_INFO: &str = include_str!("recorded/user-info.json");
const STATUS: &str = include_str!("recorded/status.json");
/// From here on the server tells how it is deployed.
const TELLS_DEPLOYMENT: [u64; 2] = [11, 5];

/// Number, name and description.
type Privilege = (&'static str, &'static str, &'static str);

/// Those that the vendor's own clients ask for before they do anything: 271 the one for Power BI,
/// 273 the one for Office. The texts are invented.
const PRIVILEGES: [Privilege; 2] = [
    ("271", "Use Power BI", "Lets the user work with the connector for Power BI."),
    ("273", "Use Office", "Lets the user work with the add-in for Office."),
];

impl Model {
    pub(super) fn status(&mut self) -> Response<ReplyBody> {
        let mut status: Value = serde_json::from_str(STATUS).unwrap_or_default();
        status["iServerVersion"] = self.iserver_version.clone().into();
        status["webVersion"] = self.web_version.clone().into();
        if self.version_is_at_least(&TELLS_DEPLOYMENT) {
            status["deploymentType"] = "cloud".into();
            status["projectStatus"] = json!([]);
        }
        answers::ok(&status)
    }

    pub(super) fn session_info(&mut self, index: usize) -> Response<ReplyBody> {
        let session = &self.sessions[index];
        let (id, name) = self.identity(&session.user);
        answers::ok(&json!({
            "locale": 1033,
            "maxSearch": session.max_search,
            "workingSet": session.working_set,
            "timeout": self.session_timeout.as_secs(),
            "id": id,
            "fullName": name,
            "initials": initials(&name),
        }))
    }

    pub(super) fn user_info(&mut self, index: usize) -> Response<ReplyBody> {
        let (id, name) = self.identity(&self.sessions[index].user);
        let mut info: Value = serde_json::from_str(USER_INFO).unwrap_or_default();
        info["id"] = id.into();
        info["initials"] = initials(&name).into();
        info["fullName"] = name.into();
        answers::ok(&info)
    }

    /// Id and name of a user.
    pub(super) fn identity(&self, user: &str) -> (String, String) {
        let id = match self.user_named(user) {
            Some(known) => known.id.clone(),
            None => super::model::User::new(user, "", false).id,
        };
        (id, user.to_owned())
    }

    fn list_privileges(&mut self, index: usize) -> Response<ReplyBody> {
        let all = PRIVILEGES.iter().map(|privilege| self.privilege(index, privilege));
        answers::ok(&Value::from(all.collect::<Vec<Value>>()))
    }

    fn describe_privilege(&mut self, index: usize, id: &str) -> Response<ReplyBody> {
        match PRIVILEGES.iter().find(|(known, ..)| *known == id) {
            Some(privilege) => answers::ok(&self.privilege(index, privilege)),
            None => answers::not_found(self),
        }
    }

    /// A privilege as the vendor's collection of requests shows it: the user has it everywhere.
    fn privilege(&self, index: usize, (id, name, description): &Privilege) -> Value {
        let projects = self.projects_of(&self.sessions[index].user).into_iter().map(
            |project| json!({ "id": project["id"], "name": project["name"], "isAllowed": true }),
        );
        json!({
            "id": id,
            "name": name,
            "description": description,
            "isUserLevelAllowed": true,
            "projects": projects.collect::<Vec<Value>>(),
        })
    }

    pub(super) fn list_projects(&mut self, index: usize) -> Response<ReplyBody> {
        let projects = self.projects_of(&self.sessions[index].user);
        let mut response = answers::ok(&Value::from(projects.clone()));
        response.headers_mut().insert("x-mstr-total-count", HeaderValue::from(projects.len()));
        response
    }

    pub(super) fn call(
        &mut self,
        index: usize,
        incoming: &Incoming,
        path: &str,
    ) -> Response<ReplyBody> {
        match path {
            "/api/echo" => return echo(incoming),
            "/api/blob" => return self.blob(incoming),
            "/api/redirect" => return self.redirect(incoming),
            "/api/status-code" => return self.status_code(incoming),
            _ => {}
        }
        let user = self.sessions[index].user.clone();
        match (&incoming.method, path) {
            (&Method::GET, "/api/sessions/projectId") => return self.session_info(index),
            (&Method::GET, "/api/sessions/privileges") => return self.list_privileges(index),
            (&Method::GET, "/api/monitors/iServer/nodes") => return self.nodes(),
            _ => {}
        }
        if let (&Method::GET, Some(name)) = (&incoming.method, path.strip_prefix("/api/projects/"))
        {
            let found = self.projects_of(&user).into_iter().find(|known| {
                known["name"].as_str().is_some_and(|known| percent_decoded(name) == known)
            });
            return match found {
                Some(project) => answers::ok(&project),
                None => answers::not_found(self),
            };
        }
        if let (&Method::GET, Some(id)) =
            (&incoming.method, path.strip_prefix("/api/sessions/privileges/"))
        {
            return self.describe_privilege(index, id);
        }
        if let (&Method::GET, Some(id)) = (&incoming.method, path.strip_prefix("/api/objects/")) {
            return self.object(&user, id, incoming);
        }
        answers::not_found(self)
    }

    /// The object that stands for a project, which the vendor's client asks for.
    fn object(&mut self, user: &str, id: &str, incoming: &Incoming) -> Response<ReplyBody> {
        let project = self.projects_of(user).into_iter().find(|known| known["id"] == id);
        match project.filter(|_| incoming.parameter("type").as_deref() == Some("32")) {
            Some(project) => answers::ok(&json!({
                "id": project["id"],
                "name": project["name"],
                "description": project["description"],
                "type": 32,
                "subtype": 8192,
                "acg": 255,
                "extType": 0,
                "owner": project["owner"],
                "dateCreated": project["dateCreated"],
                "dateModified": project["dateModified"],
                "version": "1F",
                "acl": [],
                "ancestors": [],
            })),
            None => {
                let message = "(Object not found in metadata.)";
                answers::refuse(self, 500, "ERR001", message, Some(-2_147_216_373))
            }
        }
    }

    fn nodes(&mut self) -> Response<ReplyBody> {
        let projects: Vec<Value> = self
            .projects
            .iter()
            .map(|project| {
                json!({ "id": project["id"], "name": project["name"], "status": "loaded" })
            })
            .collect();
        answers::ok(&json!({ "nodes": [{ "name": "node1", "projects": projects }] }))
    }

    fn blob(&mut self, incoming: &Incoming) -> Response<ReplyBody> {
        let Some(size) = incoming.parameter("size").and_then(|size| size.parse().ok()) else {
            return answers::refuse(self, 400, "ERR006", "size is missing or no number", None);
        };
        let mut response =
            answers::with_body(StatusCode::OK, "application/octet-stream", bytes::Bytes::new());
        *response.body_mut() = ReplyBody::Generated(size);
        response
    }

    fn redirect(&mut self, incoming: &Incoming) -> Response<ReplyBody> {
        let status = incoming.parameter("status").and_then(|status| status.parse().ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let location = incoming.parameter("to").and_then(|to| HeaderValue::from_str(&to).ok());
        let mut response = answers::empty(status.unwrap_or(StatusCode::FOUND));
        match location {
            Some(location) => {
                response.headers_mut().insert(LOCATION, location);
                response
            }
            None => answers::refuse(self, 400, "ERR006", "to is missing", None),
        }
    }

    fn status_code(&mut self, incoming: &Incoming) -> Response<ReplyBody> {
        let code = incoming.parameter("code").and_then(|code| code.parse().ok()).unwrap_or(500);
        answers::refuse(self, code, "ERR001", "as asked for", None)
    }
}

/// Method, headers and body as they arrived. The session's own headers are left out.
fn echo(incoming: &Incoming) -> Response<ReplyBody> {
    let hidden = ["x-mstr-authtoken", "cookie", "x-mstr-identitytoken"];
    let mut headers = serde_json::Map::new();
    for (name, value) in &incoming.headers {
        if hidden.contains(&name.as_str()) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match headers.get_mut(name.as_str()) {
            Some(Value::String(known)) => {
                known.push_str(", ");
                known.push_str(&value);
            }
            _ => {
                headers.insert(name.to_string(), value.into());
            }
        }
    }
    answers::ok(&json!({
        "method": incoming.method.as_str(),
        "path": incoming.path,
        "query": incoming.query,
        "project": incoming.project(),
        "headers": headers,
        "body": String::from_utf8_lossy(&incoming.body),
    }))
}

fn initials(name: &str) -> String {
    name.split_whitespace()
        .filter_map(|word| word.chars().next())
        .flat_map(char::to_uppercase)
        .collect()
}
