//! No executor is compiled in.

#[polyexec::test(executors = "all")]
//                           ^^^^^ no executor is compiled in; polyexec's features for them are `pool`, `threaded` and `local`
async fn all_of_none() {}

// The rest works, and so isn't another error.
#[polyexec::test]
async fn good() {}
