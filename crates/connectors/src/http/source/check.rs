//! Whether everything is there to be read.

use tidemark_engine::{Error, Result};

use super::Source;
use crate::config::Findings;

impl Source {
    /// Asks for the first records of every stream, and says what stands in the way.
    pub async fn check(&self) -> Findings {
        let mut findings = Findings::default();
        for name in self.config.streams.keys() {
            if let Err(error) = self.check_stream(name, &mut findings).await {
                findings.problems.push(error.context(format!("stream `{name}`")));
            }
        }
        findings
    }

    async fn check_stream(&self, name: &str, findings: &mut Findings) -> Result<()> {
        let look = self.look(name).await?;
        let plan = self.plan(name)?;
        if look.columns.is_empty() {
            findings.warnings.push(
                Error::data(format!("stream `{name}` has no records now"))
                    .hint("check `path`, `query` and `records` if it should have some"),
            );
            return Ok(());
        }
        let choice = || format!("choose from: {}", look.columns.join(", "));
        for column in plan.outline.key.iter().filter(|column| !look.columns.contains(column)) {
            let problem = format!("key column `{column}` of stream `{name}` is in none of its first records");
            findings.problems.push(Error::config(problem).hint(choice()));
        }
        if let Some(column) =
            plan.watermark().filter(|column| !look.columns.iter().any(|name| name == column))
        {
            let problem =
                format!("the watermark `{column}` of stream `{name}` is in none of its first records");
            findings.problems.push(Error::config(problem).hint(choice()));
        }
        Ok(())
    }
}
