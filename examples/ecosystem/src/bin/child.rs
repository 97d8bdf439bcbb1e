//! Child processes: a filter whose lines come back as it writes them, and a program that runs for too long.

use std::io;
use std::time::Duration;

use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use polyexec::process::{Command, Stdio};
use polyexec::time::timeout;

#[polyexec::main]
async fn main() -> io::Result<()> {
    let mut filter = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = filter.take_stdin().expect("it is piped");
    let writer = polyexec::spawn(async move {
        input.write_all(b"one trait\nmany executors\n").await?;
        input.close().await
    });
    let mut lines = BufReader::new(filter.take_stdout().expect("it is piped")).lines();
    while let Some(line) = lines.next().await.transpose()? {
        println!("{line}");
    }
    writer.await??;
    println!("the filter: {}", filter.wait().await?);

    let mut sleeper = Command::new("sleep").arg("3600").kill_on_drop(true).spawn()?;
    if timeout(Duration::from_millis(10), sleeper.wait()).await.is_err() {
        sleeper.kill().await?;
    }
    println!("the sleeper: {}", sleeper.wait().await?);
    Ok(())
}
