//! The server's state: users, sessions, tokens, projects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoints;

/// Names and values as they are recorded.
const PROJECTS: &str = include_str!("recorded/projects.json");

#[derive(Debug)]
pub(crate) struct Model {
    pub(super) users: Vec<User>,
    /// One token a user: a new one replaces the old.
    pub(super) api_tokens: BTreeMap<String, String>,
    pub(super) identity_tokens: BTreeMap<String, IdentityToken>,
    pub(super) anonymous: bool,
    pub(super) iserver_version: String,
    pub(super) web_version: String,
    pub(super) session_timeout: Duration,
    pub(super) http_timeout: Duration,
    pub(super) max_sessions: Option<usize>,
    pub(super) max_project_sessions: Option<usize>,
    pub(super) projects: Vec<serde_json::Value>,
    pub(super) project_access: BTreeMap<String, BTreeSet<String>>,
    pub(super) rotate: bool,
    pub(super) longest_head: usize,
    /// How many servers a balancer chooses from, and which it has chosen.
    pub(super) nodes: u64,
    pub(super) node: u64,
    pub(super) rejected_type: Option<(i64, String)>,
    pub(super) base_path: String,
    pub(super) seed: u64,
    pub(super) sessions: Vec<Session>,
    pub(super) by_token: BTreeMap<String, usize>,
    /// Credentials that have been refused, to notice when they are submitted again.
    pub(super) refused: BTreeSet<String>,
    pub(super) logins_after_rejection: usize,
    pub(super) now: Option<Instant>,
    pub(super) balancer: u64,
    pub(super) endpoints: Endpoints,
    drawn: u64,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) ldap: bool,
    pub(super) id: String,
}

#[derive(Debug)]
pub(super) struct IdentityToken {
    /// The session it was created in.
    pub(super) session: usize,
    pub(super) used: bool,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: String,
    pub(super) token: String,
    pub(super) cookie: String,
    /// Sessions that share one session of the Intelligence Server end together.
    pub(super) group: usize,
    pub(super) alive: bool,
    /// Of the server that knows it.
    pub(super) node: u64,
    pub(super) last_used: Instant,
    pub(super) projects: BTreeSet<String>,
    pub(super) working_set: i64,
    pub(super) max_search: i64,
    /// Opened with the user's API token; ends when that is revoked.
    pub(super) by_api_token: bool,
}

impl User {
    pub(super) fn new(name: &str, password: &str, ldap: bool) -> Self {
        // 32 hexadecimal digits that depend on the name only (FNV-1a, twice).
        let hash = |basis: u64| {
            name.bytes()
                .fold(basis, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        };
        let id =
            format!("{:016X}{:016X}", hash(0xcbf2_9ce4_8422_2325), hash(0x9E37_79B9_7F4A_7C15));
        Self { name: name.to_owned(), password: password.to_owned(), ldap, id }
    }
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            users: Vec::new(),
            api_tokens: BTreeMap::new(),
            identity_tokens: BTreeMap::new(),
            anonymous: true,
            iserver_version: "11.6.0700.00123".to_owned(),
            web_version: "11.6.0700.00045".to_owned(),
            session_timeout: Duration::from_secs(600),
            http_timeout: Duration::from_secs(1_800),
            max_sessions: None,
            max_project_sessions: None,
            projects: serde_json::from_str(PROJECTS).unwrap_or_default(),
            project_access: BTreeMap::new(),
            rotate: false,
            longest_head: usize::MAX,
            nodes: 1,
            node: 0,
            rejected_type: None,
            base_path: "/MicroStrategyLibrary".to_owned(),
            seed: 0,
            sessions: Vec::new(),
            by_token: BTreeMap::new(),
            refused: BTreeSet::new(),
            logins_after_rejection: 0,
            now: None,
            balancer: 0,
            endpoints: Endpoints::default(),
            drawn: 0,
        }
    }

    /// The next number of a fixed sequence (splitmix64), which is all the chance there is.
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut mixed = self.seed ^ self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A balancer that does not stick chooses a server for a request.
    pub(super) fn balance(&mut self) {
        if self.nodes > 1 {
            self.node = self.draw() % self.nodes;
        }
    }

    /// A token of the shape real ones have: 26 characters from 0-9 and a-v.
    pub(super) fn new_token(&mut self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let bits = (u128::from(self.draw()) << 64) | u128::from(self.draw());
        (0..26).map(|place| char::from(ALPHABET[(bits >> (place * 5)) as usize & 31])).collect()
    }

    /// 32 upper-case hexadecimal digits.
    pub(super) fn new_hex(&mut self) -> String {
        format!("{:016X}{:016X}", self.draw(), self.draw())
    }

    pub(super) fn new_ticket(&mut self) -> String {
        self.new_hex().to_lowercase()
    }

    pub(super) fn version_is_at_least(&self, wanted: &[u64]) -> bool {
        let numbers = self.iserver_version.trim_end_matches(char::is_alphabetic);
        let parts: Vec<u64> = numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        let parts = &parts[..parts.len().min(wanted.len())];
        parts >= wanted
    }

    pub(super) fn user_named(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    pub(super) fn set_password(&mut self, user: &str, password: &str) {
        for known in self.users.iter_mut().filter(|known| known.name == user) {
            password.clone_into(&mut known.password);
        }
    }

    /// Every secret of the model.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let passwords = self.users.iter().map(|user| user.password.as_str());
        let tokens = self.sessions.iter().map(|session| session.token.as_str());
        let identity = self.identity_tokens.keys().map(String::as_str);
        let api = self.api_tokens.values().map(String::as_str);
        passwords.chain(tokens).chain(identity).chain(api).collect()
    }

    /// The projects a user may see.
    pub(super) fn projects_of(&self, user: &str) -> Vec<serde_json::Value> {
        let allowed = self.project_access.get(user);
        let visible = |project: &&serde_json::Value| {
            allowed.is_none_or(|ids| project["id"].as_str().is_some_and(|id| ids.contains(id)))
        };
        self.projects.iter().filter(visible).cloned().collect()
    }
}
