//! Runs tests on every executor. Tests nothing.

/// Generates each test for each executor, under a watchdog.
macro_rules! on_every_executor {
    ($($test:ident)*) => {
        $(mod $test {
            #[test]
            fn pool() {
                polyexec_conformance::watched!();
                let pool = polyexec::Pool::new().unwrap();
                super::$test(&polyexec::Handle::new(pool.handle()));
            }
            #[test]
            fn threaded() {
                polyexec_conformance::watched!();
                let threaded = polyexec::Threaded::new();
                super::$test(&polyexec::Handle::new(threaded.handle()));
            }
            #[test]
            fn local() {
                polyexec_conformance::watched!();
                let local = polyexec::Local::new();
                super::$test(&polyexec::Handle::new(local.handle()));
            }
        })*
    };
}
pub(crate) use on_every_executor;
