//! Keys in files that others may read.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;

use fairlead::config::load;
use fairlead::config::source::Files;

use crate::Folder;

#[test]
fn a_tenants_key_in_a_file_that_others_may_read_is_warned_about() {
    let model = "[[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'x'\n";
    let keys = |keys: &str| format!("{model}[tenants.acme.api_keys]\n{keys}\n");
    for (written, expected) in [
        (keys("ollama = 'hush'"), Some("tenants.acme.api_keys.ollama")),
        (keys("ollama = ['hush', 'other']"), Some("tenants.acme.api_keys.ollama[0]")),
        (keys("ollama = { key = 'hush' }"), Some("tenants.acme.api_keys.ollama.key")),
        (keys("ollama = '${HOME}'"), None),
        (keys("ollama = { env = 'HOME' }"), None),
        (format!("{model}[tenants.api_keys]\ndefault_model = 'm'\n"), None),
    ] {
        let folder = Folder::new("exposed");
        let path = folder.write("c.toml", &written);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let loaded = load::load(&Files::new([path]), None).unwrap();
        let told: Vec<_> = loaded.warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(told, Vec::from_iter(expected), "{written}");
        assert!(!loaded.warnings.iter().any(|warning| warning.to_string().contains("hush")));
    }
}
