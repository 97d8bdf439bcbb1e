//! SQLite through sqlx: tasks that insert, and a sum.

use std::error::Error;

use sqlx::sqlite::SqlitePoolOptions;

#[polyexec::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    polyexec::tokio::context()?;
    // One connection: each one to `:memory:` has a database of its own.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE numbers (n INTEGER)").execute(&pool).await?;
    let inserts: Vec<_> = (1..=100)
        .map(|n: i64| {
            let pool = pool.clone();
            polyexec::spawn(async move { sqlx::query("INSERT INTO numbers VALUES (?)").bind(n).execute(&pool).await })
        })
        .collect();
    for insert in inserts {
        insert.await??;
    }
    let (count, sum): (i64, i64) = sqlx::query_as("SELECT count(n), sum(n) FROM numbers").fetch_one(&pool).await?;
    println!("{count} rows, the sum is {sum}");
    pool.close().await;
    Ok(())
}
