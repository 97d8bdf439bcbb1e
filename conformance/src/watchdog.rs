//! Turns a hang into a failure with a name.

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How long a test with [`watched!`](crate::watched) may take. Generous: a loaded machine is slow, and so is a sanitizer.
pub const SOON: Duration = Duration::from_secs(180);

/// Ends the process with a name if the time is over: a thread that hangs can't be ended.
///
/// # What dropping does
///
/// Stops the watchdog.
#[derive(Debug)]
pub struct Watchdog {
    /// `None` during the drop.
    over: Option<Sender<()>>,
    watches: Option<thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Fails the test `name` if it lives for longer than `patience`.
    ///
    /// # Panics
    ///
    /// If the system has no thread for it.
    pub fn new(name: impl Into<String>, patience: Duration) -> Self {
        let (name, (over, is_over)) = (name.into(), mpsc::channel());
        let watch = move || {
            if is_over.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Not `eprintln`, which the test harness captures until the test ends: this one won't.
                let _ = writeln!(std::io::stderr(), "{name}: hung, no end after {patience:?}");
                std::process::exit(101);
            }
        };
        let watches = thread::Builder::new().name("watchdog".to_owned()).spawn(watch).expect("a thread that watches");
        Self { over: Some(over), watches: Some(watches) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.over.take());
        // Joined, so that a count of threads doesn't include this one.
        let _ = self.watches.take().map(thread::JoinHandle::join);
    }
}

/// Watches the rest of a test. If it hangs, the test fails by name after [`SOON`], or after the given time.
///
/// ```
/// # fn a_test_of_mine() {
/// polyexec_conformance::watched!();
/// // … what may hang.
/// # }
/// # a_test_of_mine();
/// ```
#[macro_export]
macro_rules! watched {
    () => {
        $crate::watched!($crate::SOON);
    };
    ($patience:expr) => {
        let _watchdog = {
            fn here() {}
            let name = ::std::any::type_name_of_val(&here);
            $crate::Watchdog::new(name.trim_end_matches("::here"), $patience)
        };
    };
}
