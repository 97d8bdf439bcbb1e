//! A loop that draws frames, as a game's or a GUI's does, and runs tasks on its own thread in between.

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, yield_now};
use tokio::time;

use cli::{Failure, row, say};

#[path = "../../../support/cli.rs"]
mod cli;

const HELP: &str = "\
Draws frames, and runs tasks after each: an animation, and a picture that another thread loads.

Usage: frame_loop_on_tokio

Exit code: 0 on success, 2 if the options are invalid.";

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(2);
/// Steps of the animation, and the time of each.
const STEPS: u32 = 3;
const STEP: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    cli::run_without_options(HELP, || run().map_err(Failure::failed))
}

fn run() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let local = LocalSet::new();

    let animation = local.spawn_local(async {
        for step in 1..=STEPS {
            time::sleep(STEP).await;
            say(format_args!("the animation is at step {step}"));
        }
    });
    // Another thread can't spawn on this one. A task waits for what it sends.
    let (show, shown) = oneshot::channel();
    let loader = thread::spawn(move || {
        let picture = (0..=255).collect::<Vec<u8>>();
        _ = show.send(picture);
    });
    let picture = local.spawn_local(async move { shown.await.map(|picture| picture.len()) });

    let (mut frames, mut runs) = (0_u32, 0_u32);
    while !animation.is_finished() {
        thread::sleep(FRAME);
        frames += 1;
        // Nothing says whether a task is ready.
        local.block_on(&runtime, yield_now());
        runs += 1;
    }
    loader.join().expect("the loader doesn't panic");
    let pixels = local.block_on(&runtime, picture)?.expect("the loader has sent it");
    row("pixels", pixels);
    row("frames", frames);
    row("runs of tasks", runs);
    Ok(())
}
