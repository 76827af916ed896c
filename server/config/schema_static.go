package config

import "strconv"

func staticFiles(c *Config) []option {
	return []option{
		{"static-root", formPath, "", "",
			"Folder that `collectstatic` fills with the static files of all apps and of `static-dirs`. It is served at `static-url`, by the web server in front or, where that does not do it, by the workers. Workers open it when they start, so it has to be there: collect first.",
			"none; Django's `STATIC_ROOT`", servedFolder(&c.StaticRoot)},
		{"static-url", `path such as "/static/", or address such as "https://cdn.example/static/"`, strconv.Quote(DefaultStaticURL), "",
			"Where clients find what is in `static-root`, for `server.StaticURL`. If it is a path, the workers serve it.",
			"none; Django's `STATIC_URL`", staticURL(&c.StaticURL)},
		{"static-dirs", "path or array of paths", "", "",
			"More folders that `collectstatic` collects from, beside those of the apps.",
			"none; Django's `STATICFILES_DIRS`", paths(&c.StaticDirs)},
		{"static-hashed", "true or false", "false", "",
			"Whether `collectstatic` also gives each file a name with the hash of its content (`app.css`, `app.3f2a9c01b2d4.css`), which clients may keep for ever. References in style sheets and to source maps are rewritten; pages ask `server.StaticURL` for the name.",
			"none; Django's `ManifestStaticFilesStorage`", yesNo(&c.StaticHashed)},
		{"static-map", formAlias, "", "",
			"Serves the files of a folder below a path prefix, before any app is asked; or a single file at its path. Prefixes match in whole segments. What is not there, has a name that begins with a dot, or is behind a symbolic link that leads out of the folder is the app's to answer. Of several that match, the first that has the file serves it.",
			"`static-map`, whose prefixes match in the middle of a name", aliases(&c.StaticMaps, true)},
		{"check-static", "path or array of paths", "", "",
			"Folders in which the file of every GET request is looked for first, as with `static-map = \"/=folder\"`, after all of `static-map` and `static-url`.",
			"`check-static`", servedFolders(&c.CheckStatic)},
		{"static-index", "name or array of names", "", "a folder is the app's to answer",
			"Files that are served for their folder, the first that is there. Folders are never listed.",
			"`static-index`", fileNames(&c.StaticIndex)},
		{"accel-redirect", formAlias, "", "`server.SendFile` sends the file itself",
			"Internal locations of the nginx in front and the folders behind them: a file there that a handler sends with `server.SendFile` is left to nginx (X-Accel-Redirect). For requests over `socket`, and over `http-socket` from one of `trusted-proxies` that sends X-Forwarded-Proto. nginx needs `location /prefix/ { internal; alias folder/; }`.",
			"none", aliases(&c.AccelRedirect, false)},
	}
}
