package config

const formHTTPS = "an array of tables: `[[https-socket]]`, then lines `address = \":443\"`, `cert = \"site.pem\"` and `key = \"site.key\"`"

// httpsSockets notes its listeners as sockets does. A table with a mistake is noted
// nevertheless, for the rules between keys; the Config is not used then.
func httpsSockets(in input) {
	known := []string{"address", "cert", "key"}
	in.tables("[[https-socket]] with address, cert and key below it", known, func(t table) {
		at := len(in.p.listeners)
		if f, ok := t.required("address"); ok {
			f.address("https")
		}
		cert, key := t.pem("cert"), t.pem("key")
		if at < len(in.p.listeners) {
			in.p.listeners[at].cert, in.p.listeners[at].key = cert, key
		}
	})
}

// pem is a file that the workers read. Whether it is there, and what it contains, is
// found out at start: who checks the configuration may not be allowed to read it.
func (t table) pem(name string) string {
	f, ok := t.required(name)
	if !ok {
		return ""
	}
	path, ok := f.abs(t.p.base)
	if ok {
		t.p.files = append(t.p.files, file{path: f.path, name: path, kind: pemFile})
	}
	return path
}
