//! Threads for what nothing waits for, and their end before that of the thread that began them.
//!
//! OpenSSL frees what it has when `main` returns, and crashes where another thread is in the middle of a
//! handshake then. So a thread that ends waits for what it began, such as the logout of a connection
//! whose last handle it dropped. A process whose first thread ends waits as well: the values of that
//! thread are dropped before the handlers of `atexit` run.
//!
//! On Windows there is no OpenSSL, and none may wait: a thread drops its values while it holds the loader's
//! lock there, without which no other thread begins or ends.

use std::cell::RefCell;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

/// How long a thread that ends waits: as long as a logout lasts at most.
const LONGEST: Duration = Duration::from_secs(10);

thread_local! {
    static BEGUN: RefCell<Begun> = RefCell::new(Begun::new(LONGEST));
}

/// Whether this is a thread of isahc.
pub(crate) fn is_on_isahc() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with("isahc-agent-"))
}

/// Runs `task` on a thread of its own. The thread that calls this waits for it when it ends, except on
/// Windows, and unless it is one of isahc: `task` may drop the last handle on that one, and so wait for it.
///
/// # Errors
///
/// That there is no thread to be had; `task` is dropped then.
pub(crate) fn run(name: &str, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if cfg!(windows) || is_on_isahc() {
        return run_alone(name, task);
    }
    let Ok(running) = BEGUN.try_with(|begun| begun.borrow().running.clone()) else {
        // A thread that has waited already, and drops its last values: it waits right now.
        let mut begun = Begun::new(LONGEST);
        begun.add(spawn(name, begun.running.clone(), task)?);
        return Ok(());
    };
    // Nothing is borrowed here: without a thread, `task` is dropped, which may come back.
    let thread = spawn(name, running, task)?;
    BEGUN.try_with(|begun| begun.borrow_mut().add(thread)).unwrap_or_default();
    Ok(())
}

fn run_alone(name: &str, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Builder::new().name(name.to_owned()).spawn(task).map(drop)
}

fn spawn(
    name: &str,
    running: Option<Sender<()>>,
    task: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        let _running = running;
        task();
    })
}

/// What a thread has begun.
struct Begun {
    threads: Vec<JoinHandle<()>>,
    /// Each task holds a clone; nothing is ever sent.
    running: Option<Sender<()>>,
    ended: Receiver<()>,
    longest: Duration,
}

impl Begun {
    fn new(longest: Duration) -> Self {
        let (running, ended) = channel();
        Self { threads: Vec::new(), running: Some(running), ended, longest }
    }

    fn add(&mut self, thread: JoinHandle<()>) {
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.push(thread);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.running = None;
        if self.ended.recv_timeout(self.longest) == Err(RecvTimeoutError::Disconnected) {
            for thread in self.threads.drain(..) {
                // It has no more to do than to end, and to wait for what it began itself.
                drop(thread.join());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SHORT: Duration = Duration::from_millis(30);

    #[cfg(not(windows))]
    #[test]
    fn thread_that_ends_waits_for_what_it_began_and_for_what_that_began() {
        let done = Arc::new(AtomicBool::new(false));
        let last = Arc::clone(&done);
        let (hold, held) = channel::<()>();
        let first = thread::spawn(move || {
            run("outer", move || {
                run("inner", move || {
                    assert_eq!(held.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
                    last.store(true, Ordering::SeqCst);
                })
                .unwrap();
            })
            .unwrap();
        });
        first.join().unwrap();
        assert!(done.load(Ordering::SeqCst));
        drop(hold);
    }

    #[cfg(not(windows))]
    #[test]
    fn thread_that_ends_waits_for_what_its_own_values_begin() {
        struct Last(Arc<AtomicBool>);
        impl Drop for Last {
            fn drop(&mut self) {
                let done = Arc::clone(&self.0);
                let task = move || {
                    let (_hold, held) = channel::<()>();
                    assert!(held.recv_timeout(SHORT).is_err());
                    done.store(true, Ordering::SeqCst);
                };
                run("last", task).unwrap();
            }
        }
        thread_local! {
            static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
        }
        let done = Arc::new(AtomicBool::new(false));
        let last = Last(Arc::clone(&done));
        let begins = move || {
            LAST.set(Some(last));
            // What it waits in is made later, and so dropped earlier.
            run("first", || ()).unwrap();
        };
        thread::spawn(begins).join().unwrap();
        assert!(done.load(Ordering::SeqCst));
    }

    #[test]
    fn thread_that_ends_does_not_wait_without_end() {
        let (hold, held) = channel::<()>();
        let mut begun = Begun::new(SHORT);
        let wait = move || assert!(held.recv().is_err());
        begun.add(spawn("silent", begun.running.clone(), wait).unwrap());
        drop(begun);
        drop(hold);
    }

    #[test]
    fn thread_that_panics_is_not_waited_for_longer() {
        let mut begun = Begun::new(LONGEST);
        begun.add(spawn("broken", begun.running.clone(), || panic!("on purpose")).unwrap());
        drop(begun);
    }

    #[test]
    fn thread_of_isahc_does_not_wait_for_what_waits_for_it() {
        let (tell, ended) = channel();
        let (answer, outcome) = channel();
        let agent = Builder::new().name("isahc-agent-0".to_owned());
        let begins = move || {
            let wait = move || answer.send(ended.recv_timeout(10 * SHORT)).unwrap();
            run("ends a client", wait).unwrap();
        };
        agent.spawn(begins).unwrap().join().unwrap();
        let _late = tell.send(());
        assert_eq!(outcome.recv().unwrap(), Ok(()));
    }

    #[test]
    fn threads_that_have_ended_are_forgotten() {
        let mut begun = Begun::new(LONGEST);
        for _ in 0..3 {
            begun.add(spawn("short", begun.running.clone(), || ()).unwrap());
            while !begun.threads.iter().all(JoinHandle::is_finished) {
                thread::yield_now();
            }
        }
        assert_eq!(begun.threads.len(), 1);
    }
}
