//! Unpacks the files of Swagger UI that the binary serves under `/docs`: nothing is loaded, now or later.

use std::borrow::Cow;
use std::error::Error;
use std::fs::File;
use std::io::Cursor;
use std::path::PathBuf;

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let paths: Vec<String> =
        archive.file_names().map(|path| path.map(Cow::into_owned)).collect::<Result<_, _>>()?;
    for file in FILES {
        // The archive's one folder bears the version.
        let path = paths.iter().find(|path| path.ends_with(&format!("/dist/{file}")));
        let path = path.ok_or_else(|| format!("Swagger UI has no dist/{file}"))?;
        std::io::copy(&mut archive.by_name(path)?, &mut File::create(folder.join(file))?)?;
    }
    Ok(())
}
