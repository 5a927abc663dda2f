//! A call on an open session, beside the bare request that it amounts to: its time, and how much
//! it allocates. The counting takes time as well; `figures` has the times without.
//!
//! `max alloc` says nothing here: it is the peak of a sample, divided by the calls in it.

use divan::AllocProfiler;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench_group(sample_size = 500)]
mod connection {
    use divan::Bencher;
    use mstr_suite::at_once::AtOnce;
    use mstr_suite::at_once::calls::{self, Bare, at_once};

    #[divan::bench]
    fn send(bencher: Bencher<'_, '_>) {
        let connection = calls::connection(&AtOnce::new());
        bencher.bench_local(|| drop(at_once(calls::send(&connection))));
    }

    #[divan::bench]
    fn bytes(bencher: Bencher<'_, '_>) {
        let connection = calls::connection(&AtOnce::new());
        bencher.bench_local(|| drop(at_once(calls::bytes(&connection))));
    }

    #[divan::bench]
    fn bare_send(bencher: Bencher<'_, '_>) {
        let bare = Bare::new(&AtOnce::new());
        bencher.bench_local(|| drop(at_once(bare.send())));
    }

    #[divan::bench]
    fn bare_bytes(bencher: Bencher<'_, '_>) {
        let bare = Bare::new(&AtOnce::new());
        bencher.bench_local(|| drop(at_once(bare.bytes())));
    }
}

#[divan::bench_group(sample_size = 500)]
mod blocking {
    use divan::Bencher;
    use mstr_suite::at_once::AtOnce;
    use mstr_suite::at_once::calls::{self, Bare};

    #[divan::bench]
    fn send(bencher: Bencher<'_, '_>) {
        let connection = calls::blocking(&AtOnce::new());
        bencher.bench_local(|| drop(calls::blocking_send(&connection)));
    }

    #[divan::bench]
    fn bytes(bencher: Bencher<'_, '_>) {
        let connection = calls::blocking(&AtOnce::new());
        bencher.bench_local(|| drop(calls::blocking_bytes(&connection)));
    }

    #[divan::bench]
    fn bare_send(bencher: Bencher<'_, '_>) {
        let bare = Bare::new(&AtOnce::new());
        bencher.bench_local(|| drop(bare.blocking_send()));
    }

    #[divan::bench]
    fn bare_bytes(bencher: Bencher<'_, '_>) {
        let bare = Bare::new(&AtOnce::new());
        bencher.bench_local(|| drop(bare.blocking_bytes()));
    }
}
