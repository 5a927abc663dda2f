//! Which paths an endpoint answers.

/// Where the Library usually is. Patterns are below it.
const USUAL_BASE: &str = "/MicroStrategyLibrary/";

/// A path whose parts may be open: `/api/v2/cubes/{id}`, `/api/*/instances`, `/api/v2/**`.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    segments: Vec<Segment>,
    /// Whether it ends in `**`.
    rest: bool,
}

#[derive(Clone, Debug)]
enum Segment {
    Any,
    Literal(String),
    Named(String),
}

/// What stood where a pattern is open, by the name there (`*` and `**` for those without).
pub(crate) type Captures = Vec<(String, String)>;

impl Pattern {
    /// Reads a pattern; the error says what is wrong with which part.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let worded = |why: &str| format!("the path \"{text}\" {why}");
        let refuse = |why: &str| Err(worded(why));
        let Some(inner) = text.strip_prefix('/') else {
            return refuse("must begin with /, as /api/v2/cubes/{id} does");
        };
        if text.starts_with(USUAL_BASE) {
            return refuse("is below the base path already: it begins with /api/");
        }
        if text.contains(['?', '#']) {
            return refuse("must end before the query, which any request may have");
        }
        let (inner, rest) = match inner.strip_suffix("/**") {
            Some(inner) => (inner, true),
            None if inner == "**" => return refuse("needs something before **, as /api/** has"),
            None => (inner, false),
        };
        let mut segments: Vec<Segment> = Vec::new();
        for part in inner.split('/') {
            let segment = segment(part).map_err(|why| worded(&why))?;
            if let Segment::Named(name) = &segment
                && segments
                    .iter()
                    .any(|known| matches!(known, Segment::Named(other) if other == name))
            {
                return refuse(&format!("has {{{name}}} twice: give each a name of its own"));
            }
            segments.push(segment);
        }
        Ok(Self { text: text.to_owned(), segments, rest })
    }

    /// The pattern as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is one path only.
    pub(crate) fn is_literal(&self) -> bool {
        !self.rest && self.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }

    /// What stands where it is open, if the path (below the base path) matches.
    pub(crate) fn captures(&self, path: &str) -> Option<Captures> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let mut captures = Captures::new();
        for segment in &self.segments {
            let part = percent_decoded(parts.next()?);
            match segment {
                Segment::Literal(text) if *text == part => {}
                Segment::Literal(_) => return None,
                _ if part.is_empty() => return None,
                Segment::Any => captures.push(("*".to_owned(), part)),
                Segment::Named(name) => captures.push((name.clone(), part)),
            }
        }
        let rest: Vec<String> = parts.map(percent_decoded).collect();
        if self.rest {
            let rest = rest.join("/");
            (!rest.is_empty()).then(|| captures.push(("**".to_owned(), rest)))?;
        } else if !rest.is_empty() {
            return None;
        }
        Some(captures)
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    if part.is_empty() {
        return Err("has an empty part: two / in a row, or one at its end".to_owned());
    }
    if part == "*" {
        return Ok(Segment::Any);
    }
    let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = name.filter(|name| !name.contains(['{', '}', '*'])) {
        if name.is_empty() {
            return Err("has {} without a name: write {id}, or * for any part".to_owned());
        }
        return Ok(Segment::Named(name.to_owned()));
    }
    if part.contains(['{', '}', '*']) {
        return Err(format!(
            "has the part \"{part}\": {{name}} and * stand for a whole part between two /, and ** \
             for all parts at the end"
        ));
    }
    Ok(Segment::Literal(percent_decoded(part)))
}

/// A part of a path as it is meant. What is no UTF-8 is replaced.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = (*first == b'%').then(|| after.get(..2)).flatten();
        let decoded = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
        Pattern::parse(pattern).unwrap().captures(path)
    }

    #[test]
    fn a_pattern_matches_whole_parts_and_tells_what_they_were() {
        let own = |pairs: &[(&str, &str)]| -> Option<Captures> {
            Some(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
        };
        for (pattern, path, expected) in [
            ("/api/cubes", "/api/cubes", own(&[])),
            ("/api/cubes", "/api/cubes/1", None),
            ("/api/cubes", "/api/cubesx", None),
            ("/api/cubes", "/api", None),
            ("/api/cubes/{id}", "/api/cubes/C1", own(&[("id", "C1")])),
            ("/api/cubes/{id}", "/api/cubes/a%2Fb%20c+d&e=f", own(&[("id", "a/b c+d&e=f")])),
            ("/api/cubes/{id}", "/api/cubes/%zz%4", own(&[("id", "%zz%4")])),
            ("/api/cubes/{id}", "/api/cubes/", None),
            ("/api/cubes/{id}", "/api/cubes", None),
            ("/api/*/{id}/rows", "/api/cubes/C1/rows", own(&[("*", "cubes"), ("id", "C1")])),
            ("/api/**", "/api/v2/cubes/C1", own(&[("**", "v2/cubes/C1")])),
            ("/api/**", "/api", None),
            ("/api/**", "/api/", None),
            ("/api/My%20Cube", "/api/My%20Cube", own(&[])),
            ("/api/My Cube", "/api/My%20Cube", own(&[])),
        ] {
            assert_eq!(captured(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        for (pattern, named) in [
            ("", "must begin with /"),
            ("api/cubes", "must begin with /"),
            ("https://x/api", "must begin with /"),
            ("/MicroStrategyLibrary/api/cubes", "below the base path"),
            ("/api/cubes?limit=3", "before the query"),
            ("/api//cubes", "empty part"),
            ("/api/cubes/", "empty part"),
            ("/", "empty part"),
            ("/**", "before **"),
            ("/api/{}", "without a name"),
            ("/api/{id", "{id"),
            ("/api/cube-{id}", "cube-{id}"),
            ("/api/cube-*", "cube-*"),
            ("/api/**/rows", "at the end"),
            ("/api/{id}/{id}", "{id} twice"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.contains(named), "{pattern}: {error}");
            assert!(error.contains(&format!("\"{pattern}\"")), "what was given: {error}");
        }
    }
}
