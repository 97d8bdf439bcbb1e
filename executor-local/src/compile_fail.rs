//! Code that must not compile, each beside the same code with one change that makes it compile. Only documentation tests.
//!
//! # A `Local` stays on its thread
//!
//! ```compile_fail,E0277
//! # use polyexec_local::Local;
//! let local = Local::new();
//! std::thread::spawn(move || local.block_on(async {}));
//! ```
//!
//! ```compile_fail,E0277
//! # use polyexec_local::Local;
//! let local = Local::new();
//! std::thread::scope(|threads| drop(threads.spawn(|| local.run_until_stalled())));
//! ```
//!
//! ```
//! # use polyexec_local::Local;
//! # use polyexec_core::Executor;
//! let local = Local::new();
//! let handle = local.handle();
//! std::thread::spawn(move || drop(handle.spawn(async {})));
//! ```
//!
//! # Only `spawn_local` takes futures that aren't `Send`
//!
//! ```compile_fail,E0277
//! # use polyexec_local::Local;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! let (local, number) = (Local::new(), Rc::new(7));
//! drop(local.spawn(poll_fn(move |_| Poll::Ready(*number))));
//! ```
//!
//! ```
//! # use polyexec_local::Local;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! let (local, number) = (Local::new(), Rc::new(7));
//! drop(local.spawn_local(poll_fn(move |_| Poll::Ready(*number))));
//! ```
//!
//! The handle may move to other threads, but such a future can't move with it. (With a `Send` future, `spawn_local` panics
//! there.)
//!
//! ```compile_fail,E0277
//! # use polyexec_local::Local;
//! # use std::{future::poll_fn, rc::Rc, task::Poll};
//! let (handle, number) = (Local::new().handle(), Rc::new(7));
//! std::thread::spawn(move || drop(handle.spawn_local(poll_fn(move |_| Poll::Ready(*number)))));
//! ```
//!
//! ```
//! # use polyexec_local::Local;
//! # use std::{future::poll_fn, sync::Arc, task::Poll};
//! let (handle, number) = (Local::new().handle(), Arc::new(7));
//! std::thread::spawn(move || drop(handle.spawn_local(poll_fn(move |_| Poll::Ready(*number)))));
//! ```
