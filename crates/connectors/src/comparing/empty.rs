//! A table that is not there, which is to say: no rows.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::Result;

use super::{Described, Key, Order, Part, Row, Seen, Side, Sums, Table, Terms};

/// Stands for a table that a destination has not made yet: it makes one with the first row.
#[derive(Debug)]
pub struct Empty(Vec<Described>);

impl Empty {
    /// As if it had been made for `other`.
    pub fn like(other: &dyn Table) -> Self {
        Self(other.columns().to_vec())
    }
}

#[async_trait]
impl Table for Empty {
    fn columns(&self) -> &[Described] {
        &self.0
    }

    fn key(&self) -> &[String] {
        &[]
    }

    async fn order(&self, _column: &str) -> Result<Option<Order>> {
        Ok(None)
    }

    async fn bounds(&self, _column: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn side(self: Box<Self>, _terms: Arc<Terms>) -> Result<Box<dyn Side>> {
        Ok(self)
    }
}

#[async_trait]
impl Side for Empty {
    async fn sums(&mut self, _part: &Part) -> Result<Sums> {
        Ok(Sums::new())
    }

    async fn rows(&mut self, _part: &Part, _bytes: &[u8]) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }

    async fn look(&mut self, keys: &[Key], _closely: bool) -> Result<Vec<Seen>> {
        Ok(vec![Seen::default(); keys.len()])
    }
}
