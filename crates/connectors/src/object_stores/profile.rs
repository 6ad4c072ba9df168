//! A profile of AWS's own files, `~/.aws/credentials` and `~/.aws/config`: "Configuration and credential file settings" in the
//! documentation of its command line. What a profile keeps there itself is used; what has to be fetched first is not.

use std::collections::BTreeMap;

use tidemark_engine::{Error, Result};

use super::Environment;

/// Settings that lead to keys elsewhere.
const ELSEWHERE: [&str; 5] =
    ["role_arn", "credential_process", "sso_session", "sso_start_url", "login_session"];

/// What the files say of one profile.
#[derive(Default)]
pub(super) struct Profile(BTreeMap<String, String>);

impl Profile {
    /// The profile `AWS_PROFILE`, else `default`, which need not be there.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let chosen = environment.get("AWS_PROFILE").or(environment.get("AWS_DEFAULT_PROFILE"));
        let name = chosen.unwrap_or("default");
        let (mut settings, mut found) = (BTreeMap::new(), false);
        // Credentials win over what `config` says of the same.
        for (variable, file, section) in [
            ("AWS_CONFIG_FILE", ".aws/config", format!("profile {name}")),
            ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", name.to_owned()),
        ] {
            let text = environment.file(variable, file)?.unwrap_or_default();
            let is_ours = |header: &str| header == section || (name == "default" && header == name);
            found |= read_section(&text, is_ours, &mut settings);
        }
        match chosen {
            Some(name) if !found => {
                Err(Error::config(format!("AWS has no profile `{name}` on this machine"))
                    .hint("see what `aws configure list-profiles` tells, or unset `AWS_PROFILE`"))
            }
            _ => Ok(Self(settings)),
        }
    }

    /// A setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The key, its secret, and the token of a session; `None` when the profile holds none.
    ///
    /// Fails when its keys would have to be fetched from elsewhere.
    pub(super) fn keys(&self) -> Result<Option<[Option<&str>; 3]>> {
        if let (Some(id), Some(secret)) = (self.get("aws_access_key_id"), self.get("aws_secret_access_key")) {
            return Ok(Some([Some(id), Some(secret), self.get("aws_session_token")]));
        }
        match ELSEWHERE.into_iter().find(|setting| self.0.contains_key(*setting)) {
            None => Ok(None),
            Some(setting) => Err(Error::config(format!(
                "the AWS profile has its keys from elsewhere (`{setting}`), which is not followed"
            ))
            .hint("give them in the environment: `aws configure export-credentials --format env`")),
        }
    }
}

/// Adds the settings of the sections that are ours; whether there was one.
fn read_section(text: &str, is_ours: impl Fn(&str) -> bool, settings: &mut BTreeMap<String, String>) -> bool {
    let (mut ours, mut found) = (false, false);
    for line in text.lines() {
        // What is indented belongs to a setting of its own, such as `s3 =`.
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            ours = is_ours(&header.split_whitespace().collect::<Vec<_>>().join(" "));
            found |= ours;
        } else if let (true, false, Some((name, value))) = (ours, is_nested, line.split_once('=')) {
            settings.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONFIG: &str = "
# mine
[default]
region = eu-north-1
s3 =
    region = nonsense
[profile  shop]
region=eu-west-1
endpoint_url = https://s3.example.com
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = shop
[shop]
region = nowhere
";
    const CREDENTIALS: &str = "
[default]
aws_access_key_id = id
aws_secret_access_key = a=b/c+d
[shop]
aws_access_key_id = shop
aws_secret_access_key = secret
aws_session_token = token
";

    fn profile(name: Option<&str>) -> Result<Profile> {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
        fs::write(home.path().join("elsewhere"), CREDENTIALS).unwrap();
        let home = home.path().to_str().unwrap();
        let credentials = format!("{home}/elsewhere");
        let mut variables = vec![("HOME", home), ("AWS_SHARED_CREDENTIALS_FILE", &credentials)];
        variables.extend(name.map(|name| ("AWS_PROFILE", name)));
        Profile::read(&Environment::of(variables))
    }

    #[test]
    fn a_profile_is_what_both_files_say_of_it() {
        let default = profile(None).unwrap();
        assert_eq!(default.keys().unwrap(), Some([Some("id"), Some("a=b/c+d"), None]));
        assert_eq!(default.get("region"), Some("eu-north-1"));
        let shop = profile(Some("shop")).unwrap();
        assert_eq!(shop.keys().unwrap(), Some([Some("shop"), Some("secret"), Some("token")]));
        assert_eq!(
            (shop.get("region"), shop.get("endpoint_url")),
            (Some("eu-west-1"), Some("https://s3.example.com"))
        );
        assert!(profile(Some("role")).unwrap().keys().unwrap_err().to_string().contains("role_arn"));
        assert!(profile(Some("other")).err().unwrap().to_string().contains("`other`"));
        assert!(Profile::read(&Environment::default()).unwrap().keys().unwrap().is_none());
    }
}
