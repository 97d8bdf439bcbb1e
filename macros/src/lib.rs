//! The attributes `#[polyexec::main]` and `#[polyexec::test]`. Programs reach them through `polyexec`, feature `macros`.
//!
//! Each turns an `async fn` into a plain one: the function stays as it is, inside another one of the same name that calls
//! `block_on`. So the compiler's messages about the body are those of any `async fn`.
//!
//! Nothing here parses Rust beyond a function's head without generics and arguments. That takes a page of code, and no
//! dependency.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;

use expand::Attribute;

mod error;
mod expand;
mod function;
mod options;
mod template;

/// Runs an async `main` on an executor.
///
/// # Examples
///
/// ```
/// #[polyexec::main]
/// async fn main() -> Result<(), polyexec::JoinError> {
///     let tasks = [1, 2, 3].map(|n| polyexec::spawn(async move { n * n }));
///     let mut sum = 0;
///     for task in tasks {
///         sum += task.await?;
///     }
///     assert_eq!(sum, 14);
///     Ok(())
/// }
/// ```
///
/// Without options this is the same as
///
/// ```
/// fn main() -> Result<(), polyexec::JoinError> {
///     polyexec::block_on(async {
///         // ..
/// #       Ok(())
///     })
/// }
/// ```
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `executor = "pool"`, `"threaded"` or `"local"` | starts this executor, and shuts it down at the end. It needs the feature of the same name. Without the option: the default executor, which runs on |
/// | `worker_threads = 4` | the number of the pool's workers. Without it: one for each processor |
/// | `crate = "path::to::polyexec"` | where polyexec is, if it has another name or is re-exported |
///
/// ```
/// #[polyexec::main(executor = "pool", worker_threads = 2)]
/// async fn main() {
///     assert_eq!(polyexec::spawn(async { 6 * 7 }).await.unwrap(), 42); // on this pool
/// }
/// ```
///
/// The body runs on the calling thread, and need not be `Send`. In it and in its tasks, `polyexec::spawn` spawns on the executor.
/// Threads of your own spawn on the [default executor](https://docs.rs/polyexec/latest/polyexec/struct.DefaultExecutor.html), which is another
/// one if you give the option `executor`.
///
/// # What returning does
///
/// With the option `executor`, dropping the executor drops its tasks and waits for running polls. The default executor goes on
/// until the process ends. Await a task's handle if the task must finish.
///
/// # Panics
///
/// If the body does, or if the system has no threads for the pool.
///
/// # Errors
///
/// The function must be an `async fn` without arguments and generics. It may have any name. Other attributes apply to the plain
/// function; lint levels, such as `#[allow(..)]`, apply to the body too.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Main, options, item)
}

/// Runs an async test on an executor, or on each.
///
/// # Examples
///
/// ```
/// #[polyexec::test]
/// async fn a_task_returns_its_output() {
///     assert_eq!(polyexec::spawn(async { 6 * 7 }).await.unwrap(), 42);
/// }
///
/// #[polyexec::test(executors = "all")]
/// async fn words_are_numbers() -> Result<(), std::num::ParseIntError> {
///     assert_eq!("6".parse::<u32>()? * 7, 42);
///     Ok(())
/// }
/// ```
///
/// The second one makes the tests `words_are_numbers_pool`, `words_are_numbers_threaded` and `words_are_numbers_local`: one
/// for each executor whose feature of polyexec is enabled.
///
/// # Options
///
/// Those of [`macro@main`], and
///
/// | option | meaning |
/// |---|---|
/// | `executors = "all"` | one test for each executor that is compiled in, named `test_executor`. `worker_threads` then counts for the pool |
///
/// Without options, all tests of a process share the default executor. A task that outlives its test runs on. With
/// `executor` or `executors`, each test has an executor of its own, whose tasks end with the test.
///
/// `#[should_panic]`, `#[ignore]` and other attributes go beside it, as with `#[test]`. A test may return a `Result`.
///
/// After `use polyexec::*`, the name `test` has two meanings, and `#[test]` is an error. Import the names that you use.
///
/// # Panics
///
/// If the body does, or if the system has no threads for the pool.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Test, options, item)
}

/// Tests the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
