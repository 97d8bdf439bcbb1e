//! Each function is an error. The comment below the line at fault has carets where the compiler's are to be, and its message.

#[polyexec::test]
pub fn not_async() {}
//  ^^ `#[polyexec::test]` needs an `async fn`

#[polyexec::main]
pub(crate) unsafe fn not_async_either() {}
//                ^^ `#[polyexec::main]` needs an `async fn`

#[polyexec::main]
async fn arguments(count: usize, word: &str) {}
//                ^^^^^^^^^^^^^^^^^^^^^^^^^^ `#[polyexec::main]` calls the function, so the function can't have arguments

#[polyexec::test]
async fn generic<T: Default>() -> T {
    //          ^ `#[polyexec::test]` calls the function, so the function can't be generic
    T::default()
}

#[polyexec::test]
async fn bounds()
    where
//  ^^^^^ `#[polyexec::test]` calls the function, so the function can't have a `where`
    String: Clone,
{
}

#[polyexec::test]
pub const async fn constant() {}
//  ^^^^^ `#[polyexec::test]` calls the function, so the function can't be `const`

#[polyexec::main]
async unsafe fn dangerous() {}
//    ^^^^^^ `#[polyexec::main]` calls the function, so the function can't be `unsafe`

#[polyexec::main]
async extern "C" fn foreign() {}
//    ^^^^^^ `#[polyexec::main]` calls the function, so the function can't be `extern`

#[polyexec::main]
pub struct NoFunction;
//  ^^^^^^ `#[polyexec::main]` needs an `async fn`

trait WithoutBody {
    #[polyexec::main]
    async fn without_body();
    //                     ^ `#[polyexec::main]` needs a function with a body
}

#[polyexec::main(flavor = "pool")]
//               ^^^^^^ unknown option `flavor`; the options are `executor`, `worker_threads` and `crate`
async fn unknown_option() {}

#[polyexec::main(executors = "all")]
//               ^^^^^^^^^ unknown option `executors`; the options are `executor`, `worker_threads` and `crate`
async fn executors_of_main() {}

#[polyexec::test(executor = "poool")]
//                          ^^^^^^^ unknown executor "poool"; the executors are "pool", "threaded" and "local"
async fn unknown_executor() {}

#[polyexec::test(executor = pool)]
//                          ^^^^ unknown executor pool; the executors are "pool", "threaded" and "local"
async fn executor_without_quotes() {}

#[polyexec::test(executor = "threaded")]
//                          ^^^^^^^^^^ the executor "threaded" needs polyexec's feature `threaded`
async fn without_its_feature() {}

#[polyexec::test(executor = "pool", executor = "local")]
//                                  ^^^^^^^^ `executor` is set twice
async fn twice() {}

#[polyexec::test(executors = "pool")]
//                           ^^^^^^ `executors` needs the value "all"; for a single executor, use `executor`
async fn not_all() {}

#[polyexec::test(executors = "all", executor = "pool")]
//                                  ^^^^^^^^ use `executor` or `executors`, not both
async fn one_and_all() {}

#[polyexec::test(executor = "pool", worker_threads = 0)]
//                                                   ^ `worker_threads` needs a number of 1 or more, as in `worker_threads = 4`
async fn no_workers() {}

#[polyexec::test(executor = "pool", worker_threads = "4")]
//                                                   ^^^ `worker_threads` needs a number of 1 or more, as in `worker_threads = 4`
async fn workers_in_quotes() {}

#[polyexec::test(worker_threads = 4)]
//               ^^^^^^^^^^^^^^ `worker_threads` needs `executor = "pool"`
async fn workers_of_the_default() {}

#[polyexec::main(executor)]
//               ^^^^^^^^ `executor` needs a value, as in `executor = "pool"`
async fn without_a_value() {}

#[polyexec::main(worker_threads = , executor = "pool")]
//               ^^^^^^^^^^^^^^ `worker_threads` needs a value, as in `worker_threads = 4`
async fn without_a_value_either() {}

#[polyexec::main("pool")]
//               ^^^^^^ expected an option, such as `executor = "pool"`
async fn without_a_name() {}

#[polyexec::main(executor = "pool" worker_threads = 4)]
//                                 ^^^^^^^^^^^^^^ expected a comma between the options
async fn without_a_comma() {}

#[polyexec::main(crate = "not a path")]
//                       ^^^^^^^^^^^^ `crate` needs a path in quotes, as in `crate = "path::to::polyexec"`
async fn no_path() {}
