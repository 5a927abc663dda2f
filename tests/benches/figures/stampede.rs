//! Tasks that all meet the same dead session: each is refused, one logs in, each asks again.
//!
//! What a task costs must not depend on how many there are. Beside it stands a task with two bare
//! requests: that more tasks need more memory, which takes longer to reach, can be seen there.

use std::sync::Arc;
use std::time::Duration;

use mstr_suite::at_once::AtOnce;
use mstr_suite::at_once::calls::{self, Bare};

use crate::many::{in_tasks, one_thread};
use crate::rounds::{columns, compare, each};
use crate::{Chapter, Measurement};

/// How many tasks there are, and how often that is repeated within a round: a few tasks are over
/// too soon to be timed.
const NUMBERS: [(usize, usize); 5] =
    [(10, 2_000), (100, 200), (1_000, 20), (10_000, 2), (100_000, 1)];
const ROUNDS: usize = 9;

pub(crate) fn chapter() -> Chapter {
    let measurements = NUMBERS.map(|(number, times)| {
        let name = format!("stampede::{number}");
        Measurement::new(name.clone(), move || {
            let runtime = one_thread();
            let transport = AtOnce::new().hesitating();
            let connection = calls::connection(&transport);
            let bare = Arc::new(Bare::new(&AtOnce::new().hesitating()));
            let ours = || {
                let (logins, refused) = (transport.logins(), transport.refused());
                transport.end_session();
                let time = in_tasks(&runtime, number, || {
                    let connection = connection.clone();
                    async move { drop(calls::bytes(&connection).await) }
                });
                assert_eq!(transport.logins() - logins, 1, "one login is enough for all");
                let refused = transport.refused() - refused;
                assert_eq!(refused, number as u64, "each task has met the dead session");
                time
            };
            let bare = || {
                in_tasks(&runtime, number, || {
                    let bare = Arc::clone(&bare);
                    async move {
                        drop(bare.bytes().await);
                        drop(bare.bytes().await);
                    }
                })
            };
            let all =
                |one: &dyn Fn() -> Duration| each((0..times).map(|_| one()).sum(), times * number);
            compare(&name, ROUNDS, || all(&ours), || all(&bare));
        })
    });
    Chapter {
        heading: format!("Tasks at a dead session, {ROUNDS} rounds\n{}", columns()),
        measurements: measurements.into(),
    }
}
