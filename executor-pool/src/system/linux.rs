//! Linux: a clock for each thread, and its state in `/proc`.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;

/// The low bits of a clock id that means a thread's CPU time; the other bits are the complement of the thread's number. The same in glibc and musl, `pthread_getcpuclockid`; in the kernel `CPUCLOCK_PERTHREAD_MASK` and
/// `CPUCLOCK_SCHED`, `include/linux/posix-timers_types.h`.
const CLOCK_OF_THREAD: i32 = 0b110;

pub(super) fn own_number() -> Option<u32> {
    gettid().as_raw().try_into().ok()
}

/// `None` if the thread is gone. The kernel answers for threads of this process only.
pub(super) fn cpu_time(thread: u32) -> Option<Duration> {
    #[cfg(test)]
    probe::count();
    let number = i32::try_from(thread).ok()?;
    clock_gettime(ClockId::from_raw(!number << 3 | CLOCK_OF_THREAD)).ok().map(Duration::from)
}

/// From the state in proc(5): `R` is a thread that runs or could run.
pub(super) fn sleeps(thread: u32) -> Option<bool> {
    #[cfg(test)]
    {
        probe::count();
        if !probe::has_files() {
            return None;
        }
    }
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The thread's name comes before it in parentheses, and may have parentheses in it.
    stat.rsplit_once(") ")?.1.chars().next().map(|state| state != 'R')
}

/// For tests: counts the calling thread's questions to the system, and takes its files away.
#[cfg(test)]
pub(crate) mod probe {
    use std::cell::Cell;

    thread_local! {
        static ASKED: Cell<usize> = const { Cell::new(0) };
        static NO_FILES: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn count() {
        ASKED.set(ASKED.get() + 1);
    }

    pub(super) fn has_files() -> bool {
        !NO_FILES.get()
    }

    /// The number of questions that `run` asks the system.
    pub(crate) fn asked(run: impl FnOnce()) -> usize {
        ASKED.set(0);
        run();
        ASKED.get()
    }

    /// Runs `run` as if no file could be opened.
    pub(crate) fn without_files<T>(run: impl FnOnce() -> T) -> T {
        NO_FILES.set(true);
        let result = run();
        NO_FILES.set(false);
        result
    }
}
