//! Projects, and how one is named.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, ErrorKind};
use crate::shown::beginning;

/// The id of a project: 32 hexadecimal digits, upper case whatever was given.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ProjectId(String);

impl ProjectId {
    /// Reads an id, in any case.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) unless the text has 32 hexadecimal digits.
    pub fn new(text: impl AsRef<str>) -> Result<Self, Error> {
        let text = text.as_ref().trim();
        Self::read(text).ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!("\"{text}\" is not a project id: 32 hexadecimal digits are expected"),
            )
        })
    }

    fn read(text: &str) -> Option<Self> {
        let is_one = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_one.then(|| Self(text.to_ascii_uppercase()))
    }

    /// The 32 upper-case digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ProjectId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for ProjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

/// A project as a caller names it: its id, its name, or a [`Project`] from the server.
///
/// A text of 32 hexadecimal digits is an id, any other text is a name. For a project whose name looks
/// like an id, use [`Name`](Self::Name).
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::ProjectRef;
///
/// let by_name = ProjectRef::from("MicroStrategy Tutorial");
/// let by_id: ProjectRef = "b7ca92f04b9fae8d941c3e9b7e0cd754".parse()?;
/// assert_eq!(by_id.to_string(), "id B7CA92F04B9FAE8D941C3E9B7E0CD754");
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[serde(from = "String")]
pub enum ProjectRef {
    /// By its id.
    Id(ProjectId),
    /// By its exact name. If no name matches exactly, one that differs in case only is taken.
    Name(String),
}

impl From<&str> for ProjectRef {
    fn from(text: &str) -> Self {
        ProjectId::read(text.trim()).map_or_else(|| Self::Name(text.to_owned()), Self::Id)
    }
}

impl From<String> for ProjectRef {
    fn from(text: String) -> Self {
        ProjectId::read(text.trim()).map_or(Self::Name(text), Self::Id)
    }
}

impl From<&String> for ProjectRef {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl FromStr for ProjectRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl From<ProjectId> for ProjectRef {
    fn from(id: ProjectId) -> Self {
        Self::Id(id)
    }
}

impl From<&ProjectId> for ProjectRef {
    fn from(id: &ProjectId) -> Self {
        Self::Id(id.clone())
    }
}

impl From<Project> for ProjectRef {
    fn from(project: Project) -> Self {
        Self::Id(project.id)
    }
}

impl From<&Project> for ProjectRef {
    fn from(project: &Project) -> Self {
        Self::Id(project.id.clone())
    }
}

impl From<&Self> for ProjectRef {
    fn from(project: &Self) -> Self {
        project.clone()
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id {id}"),
            Self::Name(name) => write!(f, "\"{}\"", shortened(name)),
        }
    }
}

/// A project as the server describes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name. The server does not guarantee that it is unique.
    pub name: String,
    /// Its short name; often empty.
    #[serde(default, deserialize_with = "null_as_default")]
    pub alias: String,
    /// Its description; often empty.
    #[serde(default, deserialize_with = "null_as_default")]
    pub description: String,
    /// Its state on the server: 0 if it is active, or if the server does not report the state.
    #[serde(default)]
    pub status: i64,
}

/// The projects of a list, without entries that are not a project or have no id: they do not hide
/// the others.
pub(crate) struct Projects(pub(crate) Vec<Project>);

impl<'de> Deserialize<'de> for Projects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Projects;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of projects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Projects, A::Error> {
                let (mut projects, mut odd) = (Vec::new(), None);
                loop {
                    let mut entry = Entry::default();
                    if list.next_element_seed(Reading(Some(&mut entry)))?.is_none() {
                        break;
                    }
                    match ProjectId::read(entry.id.text().trim()) {
                        Some(id) => projects.push(entry.into_project(id)),
                        // Once: a list may have millions of them.
                        None => odd = odd.or_else(|| ProjectId::new(entry.id.text()).err()),
                    }
                }
                match odd {
                    // Then it is another kind of list.
                    Some(error) if projects.is_empty() => Err(serde::de::Error::custom(error)),
                    _ => Ok(Projects(projects)),
                }
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// The fields that are kept of an entry of a list. Of a key that comes twice, the last counts. A value
/// that cannot be read counts as missing, and takes no memory, however large it is.
#[derive(Default)]
struct Entry {
    id: Scalar,
    name: Scalar,
    alias: Scalar,
    description: Scalar,
    status: Scalar,
}

impl Entry {
    fn into_project(self, id: ProjectId) -> Project {
        let status = match &self.status {
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Number(number) => Some(*number),
            Scalar::Other => None,
        };
        Project {
            id,
            name: self.name.into_text(),
            alias: self.alias.into_text(),
            description: self.description.into_text(),
            status: status.unwrap_or_default(),
        }
    }
}

/// A value that a project can have.
#[derive(Default)]
enum Scalar {
    Text(String),
    Number(i64),
    #[default]
    Other,
}

impl Scalar {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(_) | Self::Other => "",
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(_) | Self::Other => String::new(),
        }
    }
}

/// Reads any value. Of one with keys, an entry keeps what it has room for.
struct Reading<'a>(Option<&'a mut Entry>);

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let Some(entry) = self.0 else {
            return IgnoredAny.visit_map(map).map(|_| Scalar::Other);
        };
        while let Some(key) = map.next_key::<String>()? {
            let field = match &*key {
                "id" => &mut entry.id,
                "name" => &mut entry.name,
                "alias" => &mut entry.alias,
                "description" => &mut entry.description,
                "status" => &mut entry.status,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value_seed(Reading(None))?;
        }
        Ok(Scalar::Other)
    }
}

fn null_as_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// How many near names an error lists.
const SUGGESTIONS: usize = 3;
/// How long a part of a name is that makes it near, in characters.
const SHORTEST_PART: usize = 3;
/// How many projects are compared for that, and how many characters of each: enough for people's
/// lists, and done in milliseconds with any list that a server sends.
const CONSIDERED: usize = 1_000;
const COMPARED: usize = 64;
/// How many projects of one name an error lists.
const SHOWN: usize = 10;

/// Finds the project `wanted` names among those the user may see.
pub(crate) fn resolve(projects: &[Project], wanted: &ProjectRef) -> Result<Project, Error> {
    let unavailable = |message| Err(Error::new(ErrorKind::ProjectUnavailable, message));
    let matches: Vec<&Project> = match wanted {
        ProjectRef::Id(id) => projects.iter().filter(|project| project.id == *id).collect(),
        ProjectRef::Name(name) => {
            let exact: Vec<_> = projects.iter().filter(|project| project.name == *name).collect();
            if exact.is_empty() {
                let same = |project: &&Project| lowercase(&project.name).eq(lowercase(name));
                projects.iter().filter(same).collect()
            } else {
                exact
            }
        }
    };
    match matches.as_slice() {
        [project] => Ok((*project).clone()),
        [] => unavailable(format!(
            "no project {wanted} among the {} this user can see{}",
            projects.len(),
            nearest(projects, wanted)
        )),
        several => {
            let ids = several.iter().take(SHOWN).map(|project| project.id.as_str());
            let ids: Vec<&str> = ids.chain((several.len() > SHOWN).then_some("…")).collect();
            unavailable(format!(
                "{} projects are called {wanted}: choose by id ({})",
                several.len(),
                ids.join(", ")
            ))
        }
    }
}

fn nearest(projects: &[Project], wanted: &ProjectRef) -> String {
    let ProjectRef::Name(name) = wanted else {
        return String::new();
    };
    let compared = |name: &str| lowercase(name).take(COMPARED).collect::<String>();
    let name = compared(name);
    let mut near: Vec<(bool, usize, &str)> = projects
        .iter()
        .take(CONSIDERED)
        .filter_map(|project| {
            let other = compared(&project.name);
            let short = name.chars().count().min(other.chars().count());
            let part = short >= SHORTEST_PART && (other.contains(&name) || name.contains(&other));
            let distance = distance(&name, &other);
            let is_near = part || distance <= (name.chars().count() / 3).max(1);
            is_near.then_some((!part, distance, project.name.as_str()))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    let near = near.into_iter().take(SUGGESTIONS);
    let names: Vec<String> = near.map(|(_, _, name)| format!("\"{}\"", shortened(name))).collect();
    if names.is_empty() { String::new() } else { format!("; nearest: {}", names.join(", ")) }
}

fn lowercase(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase)
}

/// The beginning of a name, where it is longer than people's names are.
fn shortened(name: &str) -> Cow<'_, str> {
    beginning(name, COMPARED)
}

/// The edit distance, where a shared beginning is what people mistype least.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, left) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, right) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projects() -> Vec<Project> {
        serde_json::from_str(
            r#"[{"id":"b7ca92f04b9fae8d941c3e9b7e0cd754","name":"MicroStrategy Tutorial"},
                {"id":"A1B2C3D4E5F60718293A4B5C6D7E8F90","name":"Twin","alias":null},
                {"id":"A1B2C3D4E5F60718293A4B5C6D7E8F91","name":"Twin"},
                {"id":"A1B2C3D4E5F60718293A4B5C6D7E8F92","name":"twins"}]"#,
        )
        .expect("projects")
    }

    #[test]
    fn a_project_is_found_by_id_in_any_case_and_by_name() {
        let projects = projects();
        for wanted in [
            ProjectRef::from("b7CA92f04b9fae8d941c3e9b7e0cd754"),
            ProjectRef::from("MicroStrategy Tutorial"),
            ProjectRef::from("microstrategy tutorial"),
        ] {
            let project = resolve(&projects, &wanted).expect("known");
            assert_eq!(project.id.as_str(), "B7CA92F04B9FAE8D941C3E9B7E0CD754");
        }
    }

    #[test]
    fn message_about_a_project_is_short_whatever_the_server_lists() {
        let project = |number: usize, name: String| Project {
            id: ProjectId(format!("{number:032X}")),
            name,
            alias: String::new(),
            description: String::new(),
            status: 0,
        };
        let long = |number| project(number, format!("{number}{}", "x".repeat(100_000)));
        let list: Vec<Project> = (0..50).map(long).collect();
        let error = resolve(&list, &"Sales".into()).expect_err("unknown").to_string();
        assert!(error.len() < 500, "{}", error.len());
        let list: Vec<Project> = (0..5_000).map(|number| project(number, "Twin".into())).collect();
        let error = resolve(&list, &"twin".into()).expect_err("ambiguous").to_string();
        assert!(error.starts_with("5000 projects") && error.len() < 500, "{error}");
    }

    #[test]
    fn unknown_and_ambiguous_projects_are_reported_with_what_to_do() {
        let unknown = resolve(&projects(), &"MicroStrategy Tutorail".into()).expect_err("unknown");
        assert_eq!(unknown.kind(), ErrorKind::ProjectUnavailable);
        let text = unknown.to_string();
        assert!(text.contains("nearest: \"MicroStrategy Tutorial\""), "{text}");

        let twin = resolve(&projects(), &"Twin".into()).expect_err("ambiguous").to_string();
        assert!(twin.contains("A1B2C3D4E5F60718293A4B5C6D7E8F91"), "{twin}");

        let id = resolve(&projects(), &"00000000000000000000000000000000".into());
        assert_eq!(id.expect_err("unknown").kind(), ErrorKind::ProjectUnavailable);
    }

    #[test]
    fn project_that_is_odd_hides_no_other() {
        const SALES: &str =
            r#"{"id":"B7CA92F04B9FAE8D941C3E9B7E0CD754","name":"Sales","status":0}"#;
        const OTHER: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";
        let id = format!("\"id\":\"{OTHER}\"");
        // The entry, and what becomes of it: name and status, or nothing.
        let table = [
            (format!(r#"{{{id},"name":null,"status":-3}}"#), Some(("", -3))),
            (format!(r#"{{{id},"name":"Off","status":null}}"#), Some(("Off", 0))),
            (format!(r#"{{{id},"name":"Off","status":"-1"}}"#), Some(("Off", -1))),
            (format!(r#"{{{id},"name":"Off","status":"loaded"}}"#), Some(("Off", 0))),
            (format!(r#"{{{id},"name":"Old","name":"New","status":1}}"#), Some(("New", 1))),
            (format!(r#"{{{id},"name":7,"alias":[],"description":{{}}}}"#), Some(("", 0))),
            (r#"{"id":"","name":"half deleted"}"#.to_owned(), None),
            (r#"{"id":null,"name":"half deleted"}"#.to_owned(), None),
            (r#"{"name":"half deleted"}"#.to_owned(), None),
            ("null".to_owned(), None),
            ("[]".to_owned(), None),
        ];
        for (odd, read) in table {
            let list = format!("[{odd},{SALES}]");
            let Projects(list) = serde_json::from_str(&list).expect("a list");
            assert_eq!(resolve(&list, &"Sales".into()).expect("it is there").status, 0, "{odd}");
            let other = list.iter().find(|project| project.id.as_str() == OTHER);
            let seen = other.map(|project| (project.name.as_str(), project.status));
            assert_eq!(seen, read, "{odd}");
        }
        assert!(serde_json::from_str::<Projects>("[]").expect("a list").0.is_empty());
        for none in ["{}", "null", "[1]", r#"[{"error":"no"}]"#, "[", ""] {
            assert!(serde_json::from_str::<Projects>(none).is_err(), "{none}");
        }
    }

    #[test]
    fn nearest_names_of_a_project_are_few_distinct_and_near() {
        let named = |names: &[&str]| -> Vec<Project> {
            let project = |(number, name): (usize, &&str)| Project {
                id: ProjectId(format!("{number:032X}")),
                name: (*name).to_owned(),
                alias: String::new(),
                description: String::new(),
                status: 0,
            };
            names.iter().enumerate().map(project).collect()
        };
        let list = ["Sales EMEA", "Sales", "Sales", "Seals", "Finance", "Pre-Sales 2025", "HR"];
        for (wanted, nearest) in [
            ("sale", "; nearest: \"Sales\", \"Sales EMEA\", \"Pre-Sales 2025\""),
            ("Finanec", "; nearest: \"Finance\""),
            ("Marketing", ""),
            ("H", "; nearest: \"HR\""),
            ("", ""),
        ] {
            let error = resolve(&named(&list), &wanted.into()).expect_err(wanted).to_string();
            let end = error.split("can see").nth(1).expect("its words");
            assert_eq!(end, nearest, "{wanted}");
        }
    }

    #[test]
    fn an_id_has_32_hexadecimal_digits() {
        for bad in
            ["", "B7CA", "Z7CA92F04B9FAE8D941C3E9B7E0CD754", "äääääääääääääääääääääääääääääääß"]
        {
            assert_eq!(ProjectId::new(bad).expect_err(bad).kind(), ErrorKind::Usage);
        }
    }
}
