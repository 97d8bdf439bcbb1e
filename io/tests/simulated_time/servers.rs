//! Servers on simulated time: when they try to accept, and how long they wait for connections.

use std::collections::VecDeque;

use polyexec_io::net::{Listener, serve};

use super::*;

/// Accepts what a test says, as peers with numbers, and logs each attempt.
struct Script {
    simulation: Simulation,
    results: Mutex<VecDeque<io::Result<u64>>>,
    attempts: Trace,
}

impl Listener for Script {
    type Stream = ();
    type Address = u64;

    fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<((), u64)>> {
        // At the end of the script, no more peers come.
        let Some(result) = self.results.lock().unwrap().pop_front() else { return Poll::Pending };
        let what = if result.is_ok() { "accepts" } else { "fails" };
        self.attempts.log(format!("{what} at {}", self.simulation.millis()));
        Poll::Ready(result.map(|peer| ((), peer)))
    }
}

fn script(simulation: &Simulation, results: impl IntoIterator<Item = io::Result<u64>>) -> (Script, Trace) {
    let attempts = Trace::new();
    let results = Mutex::new(results.into_iter().collect());
    (Script { simulation: simulation.clone(), results, attempts: attempts.clone() }, attempts)
}

/// Too many open files, on all Unix systems.
const EMFILE: i32 = 24;
/// Too many open files in the system.
const ENFILE: i32 = 23;

fn fails(number: i32) -> io::Result<u64> {
    Err(io::Error::from_raw_os_error(number))
}

#[test]
fn a_server_out_of_files_tries_again_ever_more_seldom() {
    watched!();
    let (attempts, problems) = simulate(|simulation| async move {
        let results = (0..10).map(|_| fails(EMFILE)).chain([Ok(1), fails(EMFILE), Ok(2)]);
        let (listener, attempts) = script(&simulation, results);
        let problems = Trace::new();
        let report = serve(listener)
            .shutdown_on(sleep(ms(4_500)))
            .on_problem(|problem| problems.log(format!("{} {problem}", simulation.millis())))
            .run(|(), _| async {})
            .await
            .unwrap();
        assert_eq!(report.accepted(), 2);
        (attempts, problems)
    });
    let until_it_works = [0, 10, 30, 70, 150, 310, 630, 1_270, 2_270, 3_270].map(|at| format!("fails at {at}"));
    let after_it = ["accepts at 4270", "fails at 4270", "accepts at 4270"].map(str::to_owned);
    // The second shortage is over at once, since a connection ends in the same moment.
    assert_eq!(attempts.events(), [&until_it_works[..], &after_it].concat());
    assert_eq!(problems.events().len(), 1, "{problems:?}");
    assert!(problems.events()[0].starts_with("0 can't take more connections: "), "{problems:?}");
    assert!(problems.events()[0].ends_with("(os error 24); 0 are open"), "{problems:?}");
}

#[test]
fn a_pause_begins_short_again_after_a_success() {
    watched!();
    let attempts = simulate(|simulation| async move {
        let results = [fails(EMFILE), fails(EMFILE), Ok(1), fails(EMFILE), Ok(2)];
        let (listener, attempts) = script(&simulation, results);
        let report = serve(listener).shutdown_on(sleep(ms(100))).deadline(ms(0)).run(|(), _| pending()).await.unwrap();
        assert_eq!((report.cut(), report.finished()), (&[1, 2][..], 0));
        attempts
    });
    assert_eq!(attempts, ["fails at 0", "fails at 10", "accepts at 30", "fails at 30", "accepts at 40"]);
}

#[test]
fn an_end_of_a_connection_ends_the_pause() {
    watched!();
    let attempts = simulate(|simulation| async move {
        let results = [Ok(95), fails(EMFILE), fails(EMFILE), fails(EMFILE), fails(EMFILE), Ok(0)];
        let (listener, attempts) = script(&simulation, results);
        // A peer's number is how long its connection takes.
        let server = serve(listener).shutdown_on(sleep(ms(200))).run(|(), peer| sleep(ms(peer)));
        assert_eq!(server.await.unwrap().finished(), 0, "both ended before the shutdown");
        attempts
    });
    assert_eq!(attempts, ["accepts at 0", "fails at 0", "fails at 10", "fails at 30", "fails at 70", "accepts at 95"]);
}

#[test]
fn a_lasting_shortage_is_reported_again_and_another_one_at_once() {
    watched!();
    let problems = simulate(|simulation| async move {
        // Attempts at 0, 10, 30, 70, 150, 310, 630, 1270, 2270, 3270 and so on.
        let results = (0..22).map(|_| fails(EMFILE)).chain([fails(ENFILE), fails(ENFILE)]);
        let (listener, _) = script(&simulation, results);
        let problems = Trace::new();
        let server = serve(listener).shutdown_on(sleep(ms(20_000))).on_problem(|problem| {
            let number = if problem.to_string().contains("(os error 24)") { EMFILE } else { ENFILE };
            problems.log(format!("{number} at {}", simulation.millis()));
        });
        assert_eq!(server.run(|(), _| async {}).await.unwrap().accepted(), 0);
        problems
    });
    assert_eq!(problems, ["24 at 0", "24 at 10270", "23 at 16270"]);
}

#[test]
fn connections_have_until_the_deadline() {
    watched!();
    let (report, ended) = simulate(|simulation| async move {
        let (listener, _) = script(&simulation, [100, 1_400, 1_500, 1_600, 1_000_000].map(Ok));
        let server = serve(listener).shutdown_on(sleep(ms(500))).deadline(ms(1_000));
        let report = server.run(|(), peer| sleep(ms(peer))).await.unwrap();
        (report, simulation.millis())
    });
    assert_eq!((report.accepted(), report.still_running(), ended), (5, 0, 1_500.0));
    // The third ends in the moment of the deadline, and may be either.
    assert!(report.cut().ends_with(&[1_600, 1_000_000]), "{report:?}");
    assert_eq!(report.finished() + report.cut().len(), 4, "{report:?}");
}

#[test]
fn without_a_deadline_a_server_waits() {
    watched!();
    let (text, ended) = simulate(|simulation| async move {
        let (listener, _) = script(&simulation, [60_000, 3_600_000].map(Ok));
        let report = serve(listener).shutdown_on(sleep(ms(1))).run(|(), peer| sleep(ms(peer))).await.unwrap();
        (report.to_string(), simulation.millis())
    });
    assert_eq!(text, "2 accepted; of those open at the shutdown, 2 finished and 0 were cut");
    assert_eq!(ended, 3_600_000.0);
}

#[test]
fn a_shutdown_is_seen_during_a_pause() {
    watched!();
    let ended = simulate(|simulation| async move {
        let (listener, _) = script(&simulation, (0..100).map(|_| fails(EMFILE)));
        let report = serve(listener).shutdown_on(sleep(ms(1_500))).run(|(), _| async {}).await.unwrap();
        assert_eq!(report.accepted(), 0);
        simulation.millis()
    });
    assert_eq!(ended, 1_500.0);
}
