//! redis: tasks that share a connection, to the server of a URL.

use std::error::Error;

use redis::{AsyncCommands, AsyncConnectionConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let url = std::env::args().nth(1).ok_or("which server?")?;
    let client = redis::Client::open(url)?;
    // By default an answer may take half a second. The machine of a test may be loaded.
    let patient = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let mut redis = client.get_multiplexed_async_connection_with_config(&patient).await?;

    let _: () = redis.del("sum").await?;
    let adders = [1, 2, 3].map(|n| {
        let mut redis = redis.clone();
        tokio::spawn(async move { redis.incr::<_, _, i64>("sum", n).await })
    });
    for adder in adders {
        adder.await??;
    }
    println!("{}", redis.get::<_, i64>("sum").await?);
    Ok(())
}
