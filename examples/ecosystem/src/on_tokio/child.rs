//! Child processes: a filter whose lines come back as it writes them, and a program that runs for too long.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut filter = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = filter.stdin.take().expect("it is piped");
    let writer = tokio::spawn(async move {
        input.write_all(b"one trait\nmany executors\n").await?;
        input.shutdown().await
    });
    let mut lines = BufReader::new(filter.stdout.take().expect("it is piped")).lines();
    while let Some(line) = lines.next_line().await? {
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
