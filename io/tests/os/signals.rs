//! Signals reach every listener, on every executor. A process has one set of handlers, so each test runs in a process of its own.

use std::io::ErrorKind;
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::thread;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::signal::consts::*;
use polyexec_io::signal::{Signals, ctrl_c};
use signal_hook::low_level::raise;

use crate::alone;

/// Waits for `signal` on each of our executors, on others', and on none, all at once.
fn everywhere(signal: i32, received: &mpsc::Sender<&'static str>) -> impl FnOnce() + use<> {
    let listen = |place: &'static str| {
        // Made here: from now on, no signal is lost.
        let mut signals = Signals::new([signal]).unwrap();
        let received = received.clone();
        async move {
            assert_eq!(signals.recv().await.unwrap(), signal);
            received.send(place).unwrap();
        }
    };
    let pool = polyexec_pool::Pool::builder().worker_threads(2).build().unwrap();
    let threaded = polyexec_threaded::Threaded::new();
    let foreign = async_executor::Executor::new();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.extend([pool.spawn(listen("pool")), threaded.spawn(listen("threaded"))]);
        foreign.spawn(listen("async-executor")).detach();
    }
    let (here, local, futures) = (listen("block_on"), listen("local"), listen("futures"));
    let threads = [
        thread::spawn(move || block_on(here)),
        thread::spawn(move || polyexec_local::Local::new().block_on(local)),
        thread::spawn(move || futures_executor::block_on(futures)),
    ];
    move || {
        let _executors = (pool, threaded);
        while !foreign.is_empty() {
            block_on(foreign.tick());
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        tasks.into_iter().for_each(|task| task.join().unwrap());
    }
}

#[test]
fn each_listener_on_each_executor_gets_a_signal_once() {
    alone("signals::each_listener_on_each_executor_gets_a_signal_once", || {
        watched!();
        for signal in [SIGUSR1, SIGTERM, SIGINT] {
            let (send, received) = mpsc::channel();
            let wait = everywhere(signal, &send);
            drop(send);
            assert_eq!(received.try_recv(), Err(mpsc::TryRecvError::Empty));
            raise(signal).unwrap();
            wait();
            let mut places: Vec<_> = received.iter().collect();
            places.sort_unstable();
            let all = [["async-executor"; 3], ["pool"; 3], ["threaded"; 3]].concat();
            let mut all = [&all[..], &["block_on", "futures", "local"]].concat();
            all.sort_unstable();
            assert_eq!(places, all);
        }
    });
}

#[test]
fn nothing_is_lost_between_two_receives() {
    alone("signals::nothing_is_lost_between_two_receives", || {
        watched!();
        block_on(async {
            let mut signals = Signals::new([SIGUSR1, SIGUSR2, SIGUSR1]).unwrap();
            signals.add(SIGWINCH).unwrap();
            signals.add(SIGWINCH).unwrap();
            for _ in 0..100 {
                // A signal that comes twice counts once.
                for signal in [SIGWINCH, SIGUSR1, SIGUSR2, SIGUSR1] {
                    raise(signal).unwrap();
                }
                let mut received = [0; 3];
                for signal in &mut received {
                    *signal = signals.recv().await.unwrap();
                }
                received.sort_unstable();
                let mut all = [SIGUSR1, SIGUSR2, SIGWINCH];
                all.sort_unstable();
                assert_eq!(received, all);
                assert!(poll_once(signals.recv()).await.is_none(), "each counts once");
            }
            // Given up while the others come.
            raise(SIGUSR1).unwrap();
            raise(SIGUSR2).unwrap();
            let first = poll_once(signals.recv()).await;
            let first = match first {
                Some(first) => first.unwrap(),
                None => signals.recv().await.unwrap(),
            };
            assert_eq!([first, signals.next().await.unwrap().unwrap()].iter().sum::<i32>(), SIGUSR1 + SIGUSR2);
        });
    });
}

/// Each is received before the next one is sent, from another thread.
#[test]
fn hundreds_of_signals_in_turn_are_all_received() {
    alone("signals::hundreds_of_signals_in_turn_are_all_received", || {
        watched!();
        let (mut pings, mut pongs) = (Signals::new([SIGUSR1]).unwrap(), Signals::new([SIGUSR2]).unwrap());
        let pool = polyexec_pool::Pool::builder().worker_threads(1).build().unwrap();
        let answers = pool.spawn(async move {
            for _ in 0..100 {
                assert_eq!(pings.recv().await.unwrap(), SIGUSR1);
                raise(SIGUSR2).unwrap();
            }
        });
        block_on(async {
            for _ in 0..100 {
                raise(SIGUSR1).unwrap();
                assert_eq!(pongs.recv().await.unwrap(), SIGUSR2);
            }
        });
        answers.join().unwrap();
    });
}

#[test]
fn what_cannot_be_waited_for_is_a_clear_error() {
    watched!();
    for (signal, words) in [
        (SIGKILL, "can't wait for SIGKILL: the system"),
        (SIGSTOP, "can't wait for SIGSTOP: the system"),
        (SIGSEGV, "can't wait for SIGSEGV: "),
        (SIGILL, "can't wait for SIGILL: "),
        (SIGFPE, "can't wait for SIGFPE: "),
        (0, "can't wait for signal 0: there is no such signal"),
        (-1, "can't wait for signal -1: there is no such signal"),
        (1000, "can't wait for signal 1000: there is no such signal"),
        (i32::MAX, "there is no such signal"),
        (i32::MIN, "there is no such signal"),
        // Room for it, but no system has it. The C library says so.
        (127, "can't wait for signal 127: "),
    ] {
        let error = catch_unwind(|| Signals::new([signal])).expect("no panic").unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(words), "{signal}: {error}");
    }
    // A listener goes on without it.
    let signals = Signals::new([]).unwrap();
    assert!(signals.add(SIGKILL).is_err() && signals.add(SIGURG).is_ok());
}

#[test]
fn a_dropped_listener_leaves_the_others_and_the_process() {
    alone("signals::a_dropped_listener_leaves_the_others_and_the_process", || {
        watched!();
        block_on(async {
            let (first, mut second) = (Signals::new([SIGTERM]).unwrap(), Signals::new([SIGTERM]).unwrap());
            raise(SIGTERM).unwrap();
            drop(first);
            assert_eq!(second.recv().await.unwrap(), SIGTERM);
            drop(second);
            // It would end the process by default.
            raise(SIGTERM).unwrap();
            let mut third = Signals::new([SIGTERM]).unwrap();
            assert!(poll_once(third.recv()).await.is_none(), "it came before");

            let mut stop = Box::pin(ctrl_c());
            assert!(poll_once(&mut stop).await.is_none());
            raise(SIGINT).unwrap();
            stop.await.unwrap();
            drop(poll_once(ctrl_c()).await);
            raise(SIGINT).unwrap();
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn listeners_have_no_thread_and_leave_no_descriptor() {
    alone("signals::listeners_have_no_thread_and_leave_no_descriptor", || {
        watched!();
        let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
        let here = || (count("/proc/self/task"), count("/proc/self/fd"));
        drop(Signals::new([SIGUSR1]).unwrap());
        let (threads, files) = here();
        let listeners: Vec<_> = (0..100).map(|_| Signals::new([SIGUSR1, SIGUSR2]).unwrap()).collect();
        assert_eq!(here(), (threads, files + 200));
        drop(listeners);
        assert_eq!(here(), (threads, files));
    });
}
