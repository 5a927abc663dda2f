//! Events in the words of the page.

use mstr_core::session::{CloseOutcome, Event, LossReason};

pub(crate) fn name(event: &Event) -> String {
    match event {
        Event::ApplicationIdDropped => "application id dropped".into(),
        Event::Closed(outcome) => format!(
            "closed: {}",
            match outcome {
                CloseOutcome::AlreadyEnded => "already ended",
                CloseOutcome::Failed(_) => "logout failed",
                CloseOutcome::Kept => "kept for its owner",
                CloseOutcome::LoggedOut => "logged out",
                CloseOutcome::NotOpen => "was not open",
                other => panic!("{other:?} is new: give it a name"),
            }
        ),
        Event::Lost { reason: LossReason::Expired, .. } => "lost: expired".into(),
        Event::Lost { .. } => "lost: refused".into(),
        Event::Opened { .. } => "opened".into(),
        Event::Rejected(_) => "credentials rejected".into(),
        Event::Renewed { .. } => "renewed".into(),
        Event::Replaced { .. } => "given up for another".into(),
        Event::CookieIgnored { .. } => "cookie ignored".into(),
        Event::NotSticky => "balancer not sticky".into(),
        Event::VersionUnknown => "server's version unknown".into(),
        Event::TimeoutAssumed { .. } => "idle timeout assumed".into(),
        other => panic!("{other:?} is new: give it a name"),
    }
}
