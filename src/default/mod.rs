//! The process's default executor: chosen by the program, the environment or the features, started by its first task, and
//! never shut down.
//!
//! How each kind is started is in the module of its feature.

use std::error::Error;
use std::ffi::OsStr;
use std::pin::Pin;
use std::{fmt, io};

use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, LazyStart, Rejected, Task, context, is_large};
use polyexec_core::observe::Observer;
use polyexec_core::{Executor, Handle, JoinHandle, SpawnError};

#[cfg(feature = "local")]
mod local;
#[cfg(feature = "pool")]
mod pool;
#[cfg(feature = "threaded")]
mod threaded;

/// The environment variable that chooses among the executors that are compiled in.
const VARIABLE: &str = "POLYEXEC_EXECUTOR";

/// Its executor, or the one of [`set_default`] as a configuration.
static DEFAULT: LazyStart<Started, Handle> = LazyStart::new();

/// An executor that has started. Each kind by its type, so that a spawn calls it directly.
enum Started {
    #[cfg(feature = "pool")]
    Pool(polyexec_pool::PoolHandle),
    #[cfg(feature = "threaded")]
    Threaded(polyexec_threaded::ThreadedHandle),
    #[cfg(feature = "local")]
    Local(polyexec_local::LocalHandle),
    /// The program's choice.
    Set(Handle),
}

/// An executor that is compiled in: its name, and how to start it.
type Kind = (&'static str, fn() -> io::Result<Started>);

/// In the order of precedence.
const COMPILED_IN: &[Kind] = &[
    #[cfg(feature = "pool")]
    ("pool", || pool::start().map(Started::Pool)),
    #[cfg(feature = "threaded")]
    ("threaded", || threaded::start().map(Started::Threaded)),
    #[cfg(feature = "local")]
    ("local", || local::start().map(Started::Local)),
];

impl Started {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        match self {
            #[cfg(feature = "pool")]
            Self::Pool(executor) => executor.submit(task),
            #[cfg(feature = "threaded")]
            Self::Threaded(executor) => executor.submit(task),
            #[cfg(feature = "local")]
            Self::Local(executor) => executor.submit(task),
            Self::Set(executor) => executor.submit(task),
        }
    }

    fn runs_only_here(&self) -> bool {
        match self {
            #[cfg(feature = "pool")]
            Self::Pool(executor) => executor.runs_only_here(),
            #[cfg(feature = "threaded")]
            Self::Threaded(executor) => executor.runs_only_here(),
            #[cfg(feature = "local")]
            Self::Local(executor) => executor.runs_only_here(),
            Self::Set(executor) => executor.runs_only_here(),
        }
    }

    fn observer(&self) -> Option<&dyn Observer> {
        match self {
            #[cfg(feature = "pool")]
            Self::Pool(executor) => executor.observer(),
            #[cfg(feature = "threaded")]
            Self::Threaded(executor) => executor.observer(),
            #[cfg(feature = "local")]
            Self::Local(executor) => executor.observer(),
            Self::Set(executor) => executor.observer(),
        }
    }

    fn schedule(&self, task: Task) {
        match self {
            #[cfg(feature = "pool")]
            Self::Pool(executor) => executor.schedule(task),
            #[cfg(feature = "threaded")]
            Self::Threaded(executor) => executor.schedule(task),
            #[cfg(feature = "local")]
            Self::Local(executor) => executor.schedule(task),
            Self::Set(executor) => executor.schedule(task),
        }
    }
}

/// The executor of tasks that are spawned outside of any executor. Its first task starts it.
///
/// Which executor it is, is decided at that moment:
///
/// 1. the one that the program has [set](set_default);
/// 2. else the one that the environment variable `POLYEXEC_EXECUTOR` names, of those that are compiled in: `pool`, `threaded`
///    or `local`;
/// 3. else the first of pool, threaded, local that is compiled in.
///
/// It lives as long as the process: tasks that run when `main` returns end there. `local` runs on a background thread.
///
/// # Errors
///
/// If it can't start, because the variable names no executor, none is compiled in, or the system has no thread, then the task's
/// handle resolves as rejected and says why. The next task tries again. [`start`](DefaultExecutor::start) tells it in advance.
///
/// # What dropping does
///
/// Nothing to the executor.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
/// # {
/// use polyexec::{DefaultExecutor, Executor, task};
///
/// let reader = task::Builder::new().name("reader").spawn_on(&DefaultExecutor, async { 1 + 1 });
/// assert_eq!(DefaultExecutor.block_on(reader).unwrap(), 2);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultExecutor;

impl DefaultExecutor {
    /// Starts the default executor, unless it runs already. A program calls this to learn early whether it can.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: `POLYEXEC_EXECUTOR` names no executor that is compiled in. `Unsupported`: none is compiled in, and the
    /// program has set none. Else the system's reason for not starting a thread.
    pub fn start(self) -> io::Result<()> {
        started().map(drop)
    }
}

impl Executor for DefaultExecutor {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        match started() {
            Ok(executor) => executor.submit(task),
            Err(cause) => Err(Rejected::unable(task, cause)),
        }
    }

    fn schedule(&self, task: Task) {
        match DEFAULT.get() {
            Some(executor) => executor.schedule(task),
            // It has taken no task, so it has none to wake.
            None => drop(task),
        }
    }

    fn runs_only_here(&self) -> bool {
        DEFAULT.get().is_some_and(Started::runs_only_here)
    }

    fn observer(&self) -> Option<&dyn Observer> {
        // Asked for before the first task is submitted, which starts the executor.
        started().ok().and_then(Started::observer)
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(handle());
        polyexec_core::block_on(future);
    }
}

/// Makes `executor` the default one. Call it before the first task that is spawned outside of an executor.
///
/// This is for programs. A library leaves the choice to its user.
///
/// The executor runs until its owner is dropped; then new tasks are refused. If no thread drives it (a
/// [`Local`](crate#choosing-an-executor), say), its tasks wait. Called again before the first task, the last call counts.
///
/// # Errors
///
/// The default executor has started already. The error returns `executor`.
///
/// # Examples
///
/// A pool of two threads that shuts down at the end of `main`:
///
/// ```
/// # #[cfg(feature = "pool")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = polyexec::Pool::builder().worker_threads(2).build()?;
/// polyexec::set_default(pool.handle())?;
///
/// let on_the_pool = polyexec::spawn(async { 6 * 7 });
/// assert_eq!(on_the_pool.join()?, 42);
/// // Too late.
/// assert!(polyexec::set_default(pool.handle()).is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "pool"))]
/// # fn main() {}
/// ```
pub fn set_default(executor: impl Executor) -> Result<(), SetDefaultError> {
    match DEFAULT.configure(Handle::new(executor)) {
        Ok(_) => Ok(()),
        Err(executor) => Err(SetDefaultError(executor)),
    }
}

/// The default executor has started already: see [`set_default`].
#[derive(Clone, Debug)]
pub struct SetDefaultError(Handle);

impl SetDefaultError {
    /// The executor that was to be the default one.
    pub fn into_executor(self) -> Handle {
        self.0
    }
}

impl fmt::Display for SetDefaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the default executor has started already; set it before the first task")
    }
}

impl Error for SetDefaultError {}

/// Spawns `future` as a task of its own, and returns its handle.
///
/// Inside a task, and inside an executor's `block_on`, this spawns on that executor. Elsewhere it spawns on the
/// [default executor](DefaultExecutor), and starts it if need be. It never panics: if the executor refuses the task, the handle
/// resolves with an error.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
/// # {
/// let outer = polyexec::spawn(async {
///     let inner = polyexec::spawn(async { 6 });
///     inner.await.map(|six| six * 7)
/// });
/// assert_eq!(outer.join().unwrap().unwrap(), 42);
/// # }
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F>() } {
        return spawn_small(Boxed::from(Box::new(future)));
    }
    spawn_small(future)
}

#[track_caller]
fn spawn_small<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Handle::current() {
        Some(executor) => executor.spawn(future),
        None => DefaultExecutor.spawn(future),
    }
}

/// Spawns `future` as [`spawn`] does, or returns it in the error.
///
/// # Errors
///
/// The executor's reason for refusing the task, and the future.
#[track_caller]
pub fn try_spawn<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F>() } {
        return try_spawn_small(Boxed::from(Box::new(future))).map_err(SpawnError::unboxed);
    }
    try_spawn_small(future)
}

#[track_caller]
fn try_spawn_small<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Handle::current() {
        Some(executor) => executor.try_spawn(future),
        None => DefaultExecutor.try_spawn(future),
    }
}

/// Polls `future` on this thread until it is ready. The thread sleeps between the polls.
///
/// Works anywhere: on a plain thread, inside another `block_on`, and inside a task, where the executor's other tasks go
/// on meanwhile. In `future`, [`spawn`] finds the executor of the surrounding task; outside of one, the
/// [default executor](DefaultExecutor), which this call alone doesn't start.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
/// # {
/// let sum = polyexec::block_on(async {
///     let tasks = [1, 2, 3].map(|n| polyexec::spawn(async move { n * n }));
///     let mut sum = 0;
///     for task in tasks {
///         sum += task.await?;
///     }
///     Ok::<_, polyexec::JoinError>(sum)
/// });
/// assert_eq!(sum.unwrap(), 14);
/// # }
/// ```
///
/// # Panics
///
/// If `future` does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    if const { is_large::<F>() } {
        return context::block_on_default(handle, Box::pin(future));
    }
    context::block_on_default(handle, future)
}

/// This thread's handle of the default executor: threads that ask for it often don't share one reference count.
fn handle() -> Handle {
    thread_local!(static HANDLE: Handle = Handle::new(DefaultExecutor));
    // While the thread's locals are being destroyed, there is none.
    HANDLE.try_with(Handle::clone).unwrap_or_else(|_| Handle::new(DefaultExecutor))
}

/// The default executor, which this starts unless it runs already.
fn started() -> io::Result<&'static Started> {
    // Here a child notices that it is one.
    Process::current();
    DEFAULT.get_or_start(|set| match set {
        Some(executor) => Ok(Started::Set(executor.clone())),
        None => choose(std::env::var_os(VARIABLE).as_deref(), COMPILED_IN)?(),
    })
}

/// How to start the executor that `named` names, or the first one.
fn choose(named: Option<&OsStr>, compiled_in: &[Kind]) -> io::Result<fn() -> io::Result<Started>> {
    // Set to nothing is the way to unset it in many a configuration file.
    let named = named.filter(|name| !name.is_empty());
    let chosen = compiled_in.iter().find(|(name, _)| named.is_none_or(|named| named == *name));
    if let Some((_, start)) = chosen {
        return Ok(*start);
    }
    let names: Vec<_> = compiled_in.iter().map(|(name, _)| *name).collect();
    Err(match named {
        _ if names.is_empty() => io::Error::new(
            io::ErrorKind::Unsupported,
            "there is no default executor: enable a feature of `polyexec` (pool, threaded or local), or call `set_default`",
        ),
        Some(named) => io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{VARIABLE} is {named:?}; the executors compiled in are: {}", names.join(", ")),
        ),
        None => unreachable!("without a name, the first one is chosen"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(why: &str) -> io::Result<Started> {
        Err(io::Error::other(why))
    }

    const TWO: &[Kind] = &[("one", || fails("one")), ("two", || fails("two"))];

    fn chosen(named: Option<&str>, compiled_in: &[Kind]) -> String {
        let start = choose(named.map(OsStr::new), compiled_in);
        start.and_then(|start| start()).err().unwrap().to_string()
    }

    #[test]
    fn the_variable_chooses_and_else_the_first_one_is_taken() {
        assert_eq!(chosen(None, TWO), "one");
        assert_eq!(chosen(Some(""), TWO), "one");
        assert_eq!(chosen(Some("two"), TWO), "two");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = choose(Some(OsStr::new("Two")), TWO).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), r#"POLYEXEC_EXECUTOR is "Two"; the executors compiled in are: one, two"#);
    }

    #[test]
    fn where_none_is_compiled_in_the_error_says_what_to_do() {
        for named in [None, Some("pool")] {
            let error = choose(named.map(OsStr::new), &[]).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("set_default"), "{error}");
        }
    }
}
