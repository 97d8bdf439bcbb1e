//! Threads that run an executor's tasks, or one future, poll for their events themselves: in batches, and on their own thread.
//! The fallback thread steps in when a poll is long, and leaves. In a process of its own: a pool's idle threads would take each
//! event by itself.
//!
//! The system may suspend a thread for so long that the fallback thread steps in. So each test has several tries, of which one
//! must succeed. If the property were broken, hardly any would.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use mio::net::UdpSocket;
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::{Io, polls};
use polyexec_local::Local;
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;

/// How many tries there are. One must succeed.
const ROUNDS: usize = 50;

/// One test at a time: threads of another test would take events, too.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket() -> Arc<Io<UdpSocket>> {
    Arc::new(Io::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap())
}

/// Two connected sockets.
fn pair() -> [Arc<Io<UdpSocket>>; 2] {
    let pair = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let addresses = [0, 1].map(|one| pair[one].local_addr().unwrap());
    pair[0].connect(addresses[1]).unwrap();
    pair[1].connect(addresses[0]).unwrap();
    pair.map(|socket| Arc::new(Io::new(socket).unwrap()))
}

/// Sends a datagram to `to` without the driver.
fn send(to: &Io<UdpSocket>) {
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"!", to.get_ref().local_addr().unwrap()).unwrap();
}

async fn receive(socket: &Io<UdpSocket>) {
    let received = socket.read_with(|socket| socket.recv(&mut [0; 8])).await;
    assert_eq!(received.unwrap(), 1);
}

/// Echoes this many datagrams.
async fn answer(socket: Arc<Io<UdpSocket>>, times: usize) {
    for _ in 0..times {
        receive(&socket).await;
        socket.write_with(|socket| socket.send(b"!")).await.unwrap();
    }
}

async fn ask(socket: Arc<Io<UdpSocket>>, times: usize) {
    for _ in 0..times {
        socket.write_with(|socket| socket.send(b"?")).await.unwrap();
        receive(&socket).await;
    }
}

/// Lets other tasks run.
async fn yield_now() {
    let mut is_first = true;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// Notes the thread that calls a waker.
struct Caller {
    waker: Waker,
    thread: Arc<Mutex<Option<ThreadId>>>,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        *self.thread.lock().unwrap() = Some(thread::current().id());
        self.waker.wake_by_ref();
    }
}

/// Receives a datagram, and calls `waits` when it waits. Returns the thread that has called the waker, if any.
async fn woken_by(socket: &Io<UdpSocket>, waits: impl Fn()) -> Option<ThreadId> {
    let thread = Arc::new(Mutex::new(None));
    let mut received = pin!(receive(socket));
    poll_fn(|cx| {
        let caller = Caller { waker: cx.waker().clone(), thread: thread.clone() };
        let polled = received.as_mut().poll(&mut Context::from_waker(&Arc::new(caller).into()));
        if polled.is_pending() {
            waits();
        }
        polled
    })
    .await;
    let thread = thread.lock().unwrap();
    *thread
}

/// Tries until `succeeds` does. Otherwise returns its last answer.
fn once(mut succeeds: impl FnMut() -> Result<(), String>) {
    let vain: Vec<_> = (0..ROUNDS).map_while(|_| succeeds().err()).collect();
    assert!(vain.len() < ROUNDS, "{vain:?}");
}

#[test]
fn a_local_takes_many_events_at_once() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    const PAIRS: usize = 64;
    const TIMES: usize = 30;
    once(|| {
        let local = Local::new();
        let pairs: Vec<_> = (0..PAIRS).map(|_| pair()).collect();
        let before = polls();
        let tasks: Vec<_> = pairs
            .into_iter()
            .flat_map(|[one, other]| [local.spawn(answer(one, TIMES)), local.spawn(ask(other, TIMES))])
            .collect();
        local.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        let (turns, events) = (polls() - before, 2 * PAIRS * TIMES);
        if 32 * turns <= events { Ok(()) } else { Err(format!("{events} events in {turns} turns")) }
    });
}

/// An idle `Local`, a plain `block_on`, and the thread of a `Threaded`'s task.
#[test]
fn events_wake_those_that_sleep_on_their_own_thread() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    /// Reports that it waits, and waits for a datagram. Returns the thread that called its waker, and its own.
    type Receives<'a> = &'a dyn Fn(Arc<Io<UdpSocket>>, mpsc::Sender<()>) -> (Option<ThreadId>, ThreadId);
    let woken_here = |run: Receives<'_>| {
        once(|| {
            let socket = socket();
            let (waits, waiting) = mpsc::channel();
            let sender = thread::spawn({
                let socket = socket.clone();
                move || waiting.recv().map(|()| send(&socket)).unwrap()
            });
            let (caller, own) = run(socket, waits);
            sender.join().unwrap();
            if caller == Some(own) { Ok(()) } else { Err(format!("{caller:?} has woken a task on {own:?}")) }
        });
    };
    let task = |socket: Arc<Io<UdpSocket>>, waits: mpsc::Sender<()>| async move {
        (woken_by(&socket, || waits.send(()).unwrap_or_default()).await, thread::current().id())
    };
    woken_here(&|socket, waits| {
        let local = Local::new();
        let task = local.spawn_local(task(socket, waits));
        local.block_on(task).unwrap()
    });
    woken_here(&|socket, waits| block_on(task(socket, waits)));
    let threaded = Threaded::new();
    woken_here(&|socket, waits| {
        let (end, ended) = mpsc::channel();
        drop(threaded.spawn(async move { end.send(task(socket, waits).await).unwrap() }));
        // Not in the driver, where only one thread can be.
        ended.recv().unwrap()
    });
}

/// Busy threads see their events after this many polls: three times the interval, in case the fallback thread is in the driver
/// at one of them.
const SOON: usize = 3 * 64;

/// Sends a datagram, and yields until it arrives. Returns how often.
async fn yields_until_it_comes(to: Arc<Io<UdpSocket>>, has_come: Arc<AtomicBool>) -> usize {
    // It begins where the thread is busy already.
    for _ in 0..100 {
        yield_now().await;
    }
    send(&to);
    let mut yields = 0;
    while !has_come.load(SeqCst) {
        yields += 1;
        yield_now().await;
    }
    yields
}

fn soon(mut run: impl FnMut(Arc<Io<UdpSocket>>, Arc<AtomicBool>) -> usize) {
    once(|| {
        let yields = run(socket(), Arc::default());
        if yields <= SOON { Ok(()) } else { Err(format!("an event has waited for {yields} polls")) }
    });
}

async fn comes(socket: Arc<Io<UdpSocket>>, has_come: Arc<AtomicBool>) {
    receive(&socket).await;
    has_come.store(true, SeqCst);
}

/// Two futures as one.
async fn both(one: impl Future<Output = usize>, other: impl Future<Output = ()>) -> usize {
    let (mut one, mut other, mut is_over) = (pin!(one), pin!(other), false);
    poll_fn(|cx| {
        is_over = is_over || other.as_mut().poll(cx).is_ready();
        one.as_mut().poll(cx)
    })
    .await
}

#[test]
fn a_local_that_is_always_busy_sees_its_events() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    soon(|socket, has_come| {
        let local = Local::new();
        let task = local.spawn(comes(socket.clone(), has_come.clone()));
        let yields = local.block_on(yields_until_it_comes(socket, has_come));
        local.block_on(task).unwrap();
        yields
    });
}

#[test]
fn a_block_on_that_is_always_busy_sees_its_events() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    soon(|socket, has_come| {
        block_on(both(yields_until_it_comes(socket.clone(), has_come.clone()), comes(socket, has_come)))
    });
}

#[test]
fn a_task_with_a_thread_of_its_own_that_is_always_busy_sees_its_events() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    let threaded = Threaded::new();
    soon(|socket, has_come| {
        let task = both(yields_until_it_comes(socket.clone(), has_come.clone()), comes(socket, has_come));
        threaded.spawn(task).join().unwrap()
    });
}

#[test]
fn a_local_in_a_loop_of_somebody_elses_sees_its_events() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    once(|| {
        let local = Local::new();
        let socket = socket();
        let task = local.spawn_local({
            let socket = socket.clone();
            async move { woken_by(&socket, || ()).await }
        });
        local.run_until_stalled();
        send(&socket);
        let mut rounds = 0;
        while !task.is_finished() {
            local.run_until_stalled();
            rounds += 1;
        }
        let (caller, own) = (local.block_on(task).unwrap(), thread::current().id());
        match caller {
            Some(caller) if caller == own && rounds == 1 => Ok(()),
            caller => Err(format!("{caller:?} has woken a task on {own:?}, in {rounds} rounds")),
        }
    });
}

#[test]
fn the_reactors_thread_comes_for_a_long_poll_and_leaves() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    let local = Local::new();
    for _ in 0..5 {
        // A poll that lasts until a foreign executor has handled several events, one after another.
        let long = async {
            let (one, other) = (socket(), socket());
            let (had, all_had) = mpsc::channel();
            let others = thread::spawn(move || {
                for _ in 0..20 {
                    send(&one);
                    futures_lite::future::block_on(receive(&one));
                }
                had.send(()).unwrap();
            });
            all_had.recv().unwrap();
            others.join().unwrap();
            other
        };
        let socket = local.block_on(long);
        once(|| {
            let received = local.spawn_local({
                let socket = socket.clone();
                async move { woken_by(&socket, || ()).await }
            });
            let caller = local.block_on(async {
                yield_now().await;
                send(&socket);
                received.await.unwrap()
            });
            let own = thread::current().id();
            if caller == Some(own) { Ok(()) } else { Err(format!("{caller:?} has woken a task on {own:?}")) }
        });
    }
}

/// A `Local` calls a pool's waker between two of its tasks, and the other way round.
#[test]
fn executors_beside_each_other_wake_each_others_tasks() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    const TIMES: usize = 300;
    for workers in 1..=2 {
        let pool = Pool::builder().worker_threads(workers).build().unwrap();
        let local = Local::new();
        let [one, other] = pair();
        let is_over = Arc::new(AtomicBool::new(false));
        // With endless work, and without.
        let busy = local.spawn({
            let is_over = is_over.clone();
            async move {
                while !is_over.load(SeqCst) {
                    yield_now().await;
                }
            }
        });
        let answers = pool.spawn(answer(one, TIMES));
        local.block_on(ask(other, TIMES));
        is_over.store(true, SeqCst);
        local.block_on(busy).unwrap();
        answers.join().unwrap();

        let [one, other] = pair();
        let answers = local.spawn(answer(one, TIMES));
        let asks = pool.spawn(ask(other, TIMES));
        local.block_on(answers).unwrap();
        asks.join().unwrap();
    }
}

#[test]
fn two_locals_on_two_threads_wake_each_others_tasks() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    const PAIRS: usize = 8;
    const TIMES: usize = 100;
    let (ones, others): (Vec<_>, Vec<_>) = (0..PAIRS).map(|_| pair()).map(|[one, other]| (one, other)).unzip();
    let run = |tasks: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>| {
        let local = Local::new();
        let tasks: Vec<_> = tasks.into_iter().map(|task| local.spawn(task)).collect();
        local.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    };
    let answers = thread::spawn(move || run(ones.into_iter().map(|one| Box::pin(answer(one, TIMES)) as _).collect()));
    run(others.into_iter().map(|other| Box::pin(ask(other, TIMES)) as _).collect());
    answers.join().unwrap();
}

#[test]
fn a_local_inside_of_another_executors_task_has_its_events() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    const TIMES: usize = 100;
    let talk = |times| {
        let local = Local::new();
        let [one, other] = pair();
        let answers = local.spawn(answer(one, times));
        local.block_on(ask(other, times));
        local.block_on(answers).unwrap();
    };
    let pool = Pool::builder().worker_threads(1).build().unwrap();
    let [one, other] = pair();
    let outside = pool.spawn(answer(one, TIMES));
    pool.spawn(async move { talk(TIMES) }).join().unwrap();
    pool.block_on(ask(other, TIMES));
    outside.join().unwrap();

    Threaded::new().spawn(async move { talk(TIMES) }).join().unwrap();

    let local = Local::new();
    let [one, other] = pair();
    let outside = local.spawn(answer(one, TIMES));
    // The other tasks go on inside the waiting one.
    let inside = local.spawn(async move {
        let asks = thread::spawn(move || block_on(ask(other, TIMES)));
        talk(TIMES);
        asks
    });
    let asks = local.block_on(inside).unwrap();
    local.block_on(outside).unwrap();
    asks.join().unwrap();
}

/// Calls a function, then the inner waker.
struct Calls<F>(F, Waker);

impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        self.0();
        self.1.wake_by_ref();
    }
}

#[test]
fn a_waker_that_a_local_calls_may_block_or_panic() {
    watched!(Duration::from_secs(60));
    let _alone = alone();
    let local = Local::new();
    let called = Arc::new(AtomicUsize::new(0));
    for panics in [false, true] {
        let [spoilt, good] = [socket(), socket()];
        let calls = called.clone();
        let call = move || {
            calls.fetch_add(1, SeqCst);
            block_on(yield_now());
            if panics {
                std::panic::resume_unwind(Box::new("meant"));
            }
        };
        let waker = Waker::from(Arc::new(Calls(call, Waker::noop().clone())));
        let mut received = pin!(receive(&spoilt));
        assert!(received.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let task = local.spawn_local({
            let good = good.clone();
            async move { receive(&good).await }
        });
        local.block_on(async {
            yield_now().await;
            send(&spoilt);
            send(&good);
            task.await.unwrap();
            while called.load(SeqCst) == usize::from(panics) {
                yield_now().await;
            }
        });
    }
    assert_eq!(called.load(SeqCst), 2);
}
