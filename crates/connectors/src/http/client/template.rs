//! Texts with `{{ name }}` in them.

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tidemark_engine::{Error, Result};

/// Steps a template may take: enough for any request, and none runs away.
const FUEL: u64 = 10_000;

/// A template in the language Jinja, with the filters `json`, `replace` and `urlencode` alone.
pub(crate) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Reads `source`.
    pub(crate) fn parse(source: &str) -> Result<Self> {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|error| unsound(&error))?);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("replace", minijinja::filters::replace);
        environment.add_filter("json", |text: String| serde_json::Value::String(text).to_string());
        environment
            .add_filter("urlencode", |text: String| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string());
        environment.add_template_owned("template", source.to_owned()).map_err(|error| unsound(&error))?;
        Ok(Self { environment })
    }

    /// The text, where `values` are what names stand for. A name that stands for nothing is an error.
    pub(crate) fn render(&self, values: &impl Serialize) -> Result<String> {
        let template = self.environment.get_template("template").map_err(|error| unsound(&error))?;
        template.render(Value::from(Serde(values))).map_err(|error| unsound(&error))
    }
}

/// The text of the library's error may repeat the template, and with it a secret; its kind does not.
fn unsound(error: &minijinja::Error) -> Error {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    Error::config(format!("a template cannot be used: {}{line}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, values: &[(&str, &str)]) -> Result<String> {
        Template::parse(source)?.render(&values.iter().copied().collect::<std::collections::BTreeMap<_, _>>())
    }

    #[test]
    fn values_are_placed_and_quoted() {
        let body = render(r#"{"password": {{ password | json }}}"#, &[("password", "a\"b\\c")]).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["password"], "a\"b\\c");
        assert_eq!(render("u={{ u | urlencode }}\n", &[("u", "a b&c")]).unwrap(), "u=a%20b%26c\n");
        assert_eq!(render("{{ a }}", &[("a", "<&>")]).unwrap(), "<&>");
    }

    #[test]
    fn what_is_not_there_is_an_error_that_tells_no_secret() {
        for source in ["hunter2 {{ missing }}", "hunter2 {{", "{% for a in hunter2 %}{% endfor %}"] {
            let error = render(source, &[]).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
