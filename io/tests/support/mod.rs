//! What tests on every executor share.

/// Generates each test for each executor.
macro_rules! on_every_executor {
    ($($test:ident)*) => {
        mod on_a_pool {
            $(#[test] fn $test() { super::$test(polyexec_pool::Pool::new().unwrap().handle()) })*
        }
        mod on_threads {
            $(#[test] fn $test() { super::$test(polyexec_threaded::Threaded::new().handle()) })*
        }
        mod on_a_local {
            $(#[test] fn $test() { super::$test(polyexec_local::Local::new().handle()) })*
        }
    };
}
pub(crate) use on_every_executor;
