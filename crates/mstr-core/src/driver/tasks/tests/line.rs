//! The line by itself: each caller drives the work of all.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::super::line::{Line, Place};
use crate::driver::turns::Turns;

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What happens elsewhere, and who wants to know.
#[derive(Clone, Default)]
struct Answer(Arc<Mutex<(bool, Option<Waker>)>>);

impl Answer {
    async fn come(self) {
        poll_fn(|cx| {
            let mut answer = self.0.lock().unwrap();
            answer.1 = Some(cx.waker().clone());
            if answer.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn arrive(&self) {
        let mut answer = self.0.lock().unwrap();
        answer.0 = true;
        let waker = answer.1.take();
        drop(answer);
        waker.into_iter().for_each(Waker::wake);
    }

    fn awaited(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One caller and the task it belongs to.
struct Task {
    place: Place<u32>,
    woken: Arc<Count>,
}

impl Task {
    fn new(line: &Line, work: impl Future<Output = u32> + Send + 'static) -> Self {
        Self { place: line.join(work), woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<Option<u32>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        Pin::new(&mut self.place).poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

/// Callers that take turns: the work of each waits for an answer of its own.
struct InTurns {
    line: Line,
    turns: Arc<Turns>,
}

impl InTurns {
    fn new() -> Self {
        Self { line: Line::default(), turns: Arc::default() }
    }

    fn task(&self, outcome: u32) -> (Answer, Task) {
        let answer = Answer::default();
        let (turns, awaited) = (Arc::clone(&self.turns), answer.clone());
        let task = Task::new(&self.line, async move {
            let turn = turns.turn().await;
            awaited.come().await;
            drop(turn);
            outcome
        });
        (answer, task)
    }
}

#[test]
fn whoever_is_polled_drives_all_in_the_order_they_came() {
    let calls = InTurns::new();
    let (first_answer, mut first) = calls.task(1);
    let (second_answer, mut second) = calls.task(2);
    let (third_answer, mut third) = calls.task(3);
    // From now on only the last is polled.
    assert!(first.poll().is_pending());
    assert!(third.poll().is_pending());
    assert!(first_answer.awaited() && !second_answer.awaited());
    first_answer.arrive();
    assert!(third.poll().is_pending());
    assert!(second_answer.awaited() && !third_answer.awaited(), "one at a time");
    second_answer.arrive();
    third_answer.arrive();
    assert_eq!(third.poll(), Poll::Ready(Some(3)));
    assert!(first.woken() > 0);
    assert_eq!(first.poll(), Poll::Ready(Some(1)), "it has come meanwhile");
    assert_eq!(second.poll(), Poll::Ready(Some(2)), "without having been polled once");
}

#[test]
fn all_are_woken_and_nobody_polls_for_nothing() {
    let line = Line::default();
    let polls = Arc::new(AtomicUsize::new(0));
    let (answer, counted) = (Answer::default(), Arc::clone(&polls));
    let awaited = answer.clone();
    let mut work = Box::pin(async move {
        awaited.come().await;
        7
    });
    let mut worker = Task::new(
        &line,
        poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::SeqCst);
            work.as_mut().poll(cx)
        }),
    );
    let mut others: Vec<Task> = (0..5).map(|_| Task::new(&line, pending())).collect();
    for _ in 0..3 {
        assert!(worker.poll().is_pending());
        assert!(others.iter_mut().all(|other| other.poll().is_pending()));
    }
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    answer.arrive();
    assert!(others.iter().all(|other| other.woken() == 1), "any may be the one that is polled");
    assert_eq!(worker.woken(), 1);
    assert!(others[4].poll().is_pending());
    assert_eq!(polls.load(Ordering::SeqCst), 2);
    assert_eq!(worker.poll(), Poll::Ready(Some(7)));
}

#[test]
fn caller_that_is_dropped_takes_its_work_with_it_and_lets_the_next_through() {
    let calls = InTurns::new();
    let (first_answer, mut first) = calls.task(1);
    let (second_answer, mut second) = calls.task(2);
    let (third_answer, mut third) = calls.task(3);
    assert!(first.poll().is_pending());
    assert!(second.poll().is_pending());
    assert!(third.poll().is_pending());
    // One in the line, then the one whose work is under way.
    drop(second);
    let woken = third.woken();
    drop(first);
    assert!(third.woken() > woken);
    assert!(third.poll().is_pending());
    assert!(first_answer.awaited() && !second_answer.awaited() && third_answer.awaited());
    third_answer.arrive();
    assert_eq!(third.poll(), Poll::Ready(Some(3)));
}

#[test]
fn work_whose_caller_is_dropped_while_another_polls_it_is_not_put_back() {
    let line = Line::default();
    let place: Arc<Mutex<Option<Place<u32>>>> = Arc::default();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (own, held) = (Arc::clone(&place), Dropped(Arc::clone(&dropped)));
    *place.lock().unwrap() = Some(line.join(poll_fn(move |_| {
        drop(own.lock().unwrap().take());
        assert_eq!(held.0.load(Ordering::SeqCst), 0, "not while it is polled");
        Poll::Pending
    })));
    let mut other = Task::new(&line, async { 7 });
    assert_eq!(other.poll(), Poll::Ready(Some(7)));
    assert!(place.lock().unwrap().is_none());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn panic_of_work_is_its_own_caller_s_and_the_line_goes_on() {
    let calls = InTurns::new();
    let panicking = |turns: &Arc<Turns>| {
        let turns = Arc::clone(turns);
        async move {
            let _turn = turns.turn().await;
            panic!("the work panics")
        }
    };
    let mut concerned = Task::new(&calls.line, panicking(&calls.turns));
    let (answer, mut other) = calls.task(7);
    assert!(other.poll().is_pending(), "it drives what panics, and hears nothing of it");
    assert!(answer.awaited(), "it has the turn");
    assert_eq!(concerned.poll(), Poll::Ready(None));
    answer.arrive();
    assert_eq!(other.poll(), Poll::Ready(Some(7)));

    let mut own = Task::new(&calls.line, panicking(&calls.turns));
    assert!(catch_unwind(AssertUnwindSafe(|| own.poll())).is_err(), "whose it is sees it");
    let (answer, mut next) = calls.task(8);
    answer.arrive();
    assert_eq!(next.poll(), Poll::Ready(Some(8)));
}

#[test]
fn work_that_wakes_itself_gives_way_and_is_polled_again() {
    let line = Line::default();
    let mut left = 3;
    let mut task = Task::new(
        &line,
        poll_fn(move |cx| {
            if left == 0 {
                return Poll::Ready(7);
            }
            left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }),
    );
    for round in 1..=3 {
        assert!(task.poll().is_pending());
        assert_eq!(task.woken(), round);
    }
    assert_eq!(task.poll(), Poll::Ready(Some(7)));
}

#[test]
fn work_is_gone_with_its_caller_whoever_may_still_wake_it() {
    let line = Line::default();
    let (answer, shared) = (Answer::default(), Arc::new(()));
    let (awaited, held) = (answer.clone(), Arc::clone(&shared));
    let mut task = Task::new(&line, async move {
        awaited.come().await;
        drop(held);
        7
    });
    assert!(task.poll().is_pending());
    assert_eq!(Arc::strong_count(&shared), 2);
    drop(task);
    assert_eq!(Arc::strong_count(&shared), 1);
    answer.arrive();
}

/// A waker whose end takes another caller with it, as that of a task which waits twice does.
struct Last(#[expect(dead_code, reason = "held to be dropped")] Mutex<Place<u32>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn waker_may_take_another_caller_with_it() {
    let line = Line::default();
    let last = |line: &Line| Waker::from(Arc::new(Last(Mutex::new(line.join(pending())))));
    let mut place = line.join(pending::<u32>());
    // On a thread of its own: what this must not do is wait for its own lock for ever.
    let (told, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..2 {
            let waker = last(&line);
            assert!(Pin::new(&mut place).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(place);
        told.send(()).unwrap();
    });
    done.recv_timeout(std::time::Duration::from_secs(5)).expect("no deadlock");
}
