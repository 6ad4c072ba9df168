//! The connection that a mirror is written over: questions, and transactions.

use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value, cmd};
use tidemark_engine::{Error, Result};

use crate::redis::{
    refusal,
    session::{Server, Session},
};

/// Questions under way at a time.
const QUESTIONS: usize = 500;
/// Bytes of a transaction that are sent at a time.
const PART_BYTES: usize = 1 << 20;

/// An open connection. After an error it is of no use: something may be under way.
pub(super) struct Link {
    server: Server,
    session: Session,
}

/// Commands that the server keeps until all are there, and then runs as one.
/// <https://redis.io/docs/latest/develop/using-commands/transactions/>
pub(super) struct Transaction<'l> {
    link: &'l mut Link,
    /// Commands that are not sent yet.
    part: Pipeline,
    part_bytes: usize,
    /// What the server keeps of it.
    bytes: usize,
}

impl Link {
    pub(super) async fn connect(server: &Server) -> Result<Self> {
        Ok(Self { server: server.clone(), session: server.connect().await? })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The largest value that the server takes.
    pub(super) fn value_bytes(&self) -> usize {
        self.session.value_bytes
    }

    /// What the server answers.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, question: Cmd) -> Result<T> {
        let answer = question.query_async(&mut self.session.connection);
        self.server.in_time(answer).await?.map_err(|error| refusal::of_records(&self.server, error))
    }

    /// What the server answers to each of many questions.
    pub(super) async fn ask_each(&mut self, questions: Vec<Cmd>) -> Result<Vec<RedisResult<Value>>> {
        let mut answers = Vec::with_capacity(questions.len());
        for questions in questions.chunks(QUESTIONS) {
            answers.extend(self.send(questions.iter().cloned()).await?);
        }
        Ok(answers)
    }

    async fn send(&mut self, commands: impl IntoIterator<Item = Cmd>) -> Result<Vec<RedisResult<Value>>> {
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.ignore_errors();
        let answers = pipeline.query_async::<Vec<RedisResult<Value>>>(&mut self.session.connection);
        self.server.in_time(answers).await?.map_err(|error| refusal::lost(&self.server, error))
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<Transaction<'_>> {
        let () = self.ask(cmd("MULTI")).await?;
        Ok(Transaction { link: self, part: redis::pipe(), part_bytes: 0, bytes: 0 })
    }
}

impl Transaction<'_> {
    /// Adds a command.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when the transaction is more than the server keeps.
    pub(super) async fn add(&mut self, command: Cmd) -> Result<()> {
        let bytes = command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(bytes) => bytes.len(),
            _ => 0,
        });
        let bytes = bytes.sum::<usize>();
        self.bytes += bytes;
        self.part_bytes += bytes;
        let limit = self.link.session.transaction_bytes;
        if self.bytes > limit {
            let message =
                format!("a commit is more than the {limit} bytes that the server takes in a transaction");
            return Err(Error::config(message).hint("raise `client-query-buffer-limit` on the server"));
        }
        self.part.add_command(command);
        if self.part_bytes >= PART_BYTES { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<()> {
        self.part_bytes = 0;
        let mut part = std::mem::replace(&mut self.part, redis::pipe());
        part.ignore_errors();
        if part.is_empty() {
            return Ok(());
        }
        let answers = part.query_async::<Vec<RedisResult<Value>>>(&mut self.link.session.connection);
        let server = &self.link.server;
        let answers = server.in_time(answers).await?.map_err(|error| refusal::lost(server, error))?;
        let refused = answers.into_iter().find_map(Result::err);
        refused.map_or(Ok(()), |error| Err(refusal::of_records(server, error)))
    }

    /// Has the server run it. `false`: a key that was watched has changed, and nothing was done.
    pub(super) async fn run(mut self) -> Result<bool> {
        self.send().await?;
        let done: Value = self.link.ask(cmd("EXEC")).await?;
        Ok(done != Value::Nil)
    }
}
