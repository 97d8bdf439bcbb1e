//! A pipeline: fetches pages, three at a time, and adds up what is in them. The first error cancels the rest.

use std::error::Error;
use std::time::Duration;

use polyexec::{JoinSet, time::sleep};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Stands for a request: takes as many milliseconds as the page's number.
async fn fetch(page: &str) -> Result<u64> {
    let number = page.parse().map_err(|error| format!("page {page}: {error}"))?;
    sleep(Duration::from_millis(number)).await;
    Ok(number)
}

/// Takes a page when there is room for its task. After an error, dropping the set cancels the others.
async fn sum(pages: impl IntoIterator<Item = &'static str>) -> Result<u64> {
    let (mut tasks, mut sum) = (JoinSet::with_limit(3), 0);
    for page in pages {
        tasks.room().await;
        tasks.spawn(fetch(page));
        while let Some(number) = tasks.try_join_next() {
            sum += number??;
        }
    }
    while let Some(number) = tasks.join_next().await {
        sum += number??;
    }
    Ok(sum)
}

#[polyexec::main]
async fn main() -> Result<()> {
    println!("{}", sum(["1", "2", "3", "4", "5", "6", "7"]).await?);
    // The first two would take an hour.
    let error = sum(["3600000", "3600000", "three", "4", "5"]).await.unwrap_err();
    println!("{error}");
    Ok(())
}
