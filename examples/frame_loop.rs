//! A loop that draws frames, as a game's or a GUI's does, and runs tasks on its own thread when there are some to run.
//!
//!     cargo run --example frame_loop --features local,time

use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use polyexec::{Executor, Local, spawn_local, time};

use support::cli::{self, row, say};

mod support {
    pub(crate) mod cli;
}

const HELP: &str = "\
Draws frames, and runs tasks in between, only when one is ready: an animation, and a picture that another thread loads.

Usage: frame_loop

Exit code: 0 on success, 2 if the options are invalid.";

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(2);
/// Steps of the animation, and the time of each.
const STEPS: u32 = 3;
const STEP: Duration = Duration::from_millis(10);

/// What a windowing system sends to its loop. Here only the tasks send something.
enum Event {
    TasksAreReady,
}

fn main() -> ExitCode {
    cli::run_without_options(HELP, || {
        run();
        Ok(())
    })
}

fn run() {
    // In winit this would be an `EventLoopProxy`, in GTK a `MainContext`: any thread may send to it.
    let (proxy, events) = mpsc::channel();
    // An error says that the loop has ended.
    let on_ready = move || _ = proxy.send(Event::TasksAreReady);
    let local = Local::builder().on_ready(on_ready).build();

    let animation = local.spawn_local(async {
        for step in 1..=STEPS {
            time::sleep(STEP).await;
            say(format_args!("the animation is at step {step}"));
        }
    });
    // A thread that works in the background shows its result on this one.
    let window = local.handle();
    let loader = thread::spawn(move || {
        let picture = (0..=255).collect::<Vec<u8>>();
        window.spawn(async move { spawn_local(async move { picture.len() }).await })
    });

    let (mut frames, mut runs) = (0_u32, 0_u32);
    while !animation.is_finished() {
        match events.recv_timeout(FRAME) {
            Ok(Event::TasksAreReady) => {
                runs += 1;
                local.run_until_stalled();
            }
            Err(RecvTimeoutError::Timeout) => frames += 1,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the `Local` has the hook"),
        }
    }
    let picture = loader.join().expect("the loader doesn't panic");
    let pixels = local.block_on(picture).expect("the task was spawned").expect("it doesn't panic");
    row("pixels", pixels);
    row("frames", frames);
    row("runs of tasks", runs);
}
