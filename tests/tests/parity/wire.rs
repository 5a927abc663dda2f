//! Requests as lines, and what two lists of lines do not share.

use mstr_fake::Captured;
use serde_json::Value;

/// The requests as the fixtures have them.
pub(super) fn lines(captured: &[Captured]) -> Vec<String> {
    let mut tokens = Vec::new();
    captured.iter().map(|request| line(request, &mut tokens)).collect()
}

fn line(request: &Captured, tokens: &mut Vec<String>) -> String {
    let text = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    let target = request.uri.path_and_query().unwrap().as_str();
    let target = target.strip_prefix("/MicroStrategyLibrary").unwrap_or(target);
    let mut line = format!("{} {target}", request.method);
    if !request.body.is_empty() {
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        if let Some(token) = body.get_mut("identityToken") {
            *token = "IDENTITY".into();
        }
        if body["username"].as_str().is_some_and(|name| name.starts_with("API-")) {
            body["username"] = "API-TOKEN".into();
        }
        line.push_str(&format!(" {body}"));
    }
    if let Some(token) = text("x-mstr-authtoken") {
        let known = tokens.iter().position(|known| known == token).unwrap_or_else(|| {
            tokens.push(token.to_owned());
            tokens.len() - 1
        });
        line.push_str(&format!(" token-{}", known + 1));
    }
    if text("cookie").is_some() {
        line.push_str(" cookies");
    }
    if let Some(project) = text("x-mstr-projectid") {
        line.push_str(&format!(" project={project}"));
    }
    if text("x-mstr-identitytoken").is_some() {
        line.push_str(" identity");
    }
    line
}

/// What has to go (`- …`) and to come (`+ …`) to make `ours` of `theirs`: the shortest such list.
pub(super) fn difference(theirs: &[String], ours: &[String]) -> Vec<String> {
    // The length of the longest common rest from each pair of places on.
    let mut common = vec![vec![0_usize; ours.len() + 1]; theirs.len() + 1];
    for (left, mine) in theirs.iter().enumerate().rev() {
        for (right, yours) in ours.iter().enumerate().rev() {
            common[left][right] = if mine == yours {
                common[left + 1][right + 1] + 1
            } else {
                common[left + 1][right].max(common[left][right + 1])
            };
        }
    }
    let (mut left, mut right, mut found) = (0, 0, Vec::new());
    while left < theirs.len() || right < ours.len() {
        if left < theirs.len() && right < ours.len() && theirs[left] == ours[right] {
            (left, right) = (left + 1, right + 1);
        } else if right == ours.len()
            || left < theirs.len() && common[left + 1][right] >= common[left][right + 1]
        {
            found.push(format!("- {}", theirs[left]));
            left += 1;
        } else {
            found.push(format!("+ {}", ours[right]));
            right += 1;
        }
    }
    found
}

#[test]
fn differences_are_found_in_order() {
    let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    assert_eq!(difference(&list("abc"), &list("abc")), [""; 0]);
    assert_eq!(difference(&list("abcd"), &list("axcde")), ["- b", "+ x", "+ e"]);
    assert_eq!(difference(&list(""), &list("a")), ["+ a"]);
    assert_eq!(difference(&list("a"), &list("")), ["- a"]);
}
