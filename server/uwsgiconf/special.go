package uwsgiconf

import (
	"path"
	"strconv"
	"strings"
)

// module names no app as long as nobody has to: the only app of a program needs no name.
func (t *translator) module(it *item) {
	it.name = appName(it.value)
	it.replace("a Go program has its apps compiled in, and one that registers a single app serves it without this key; if it registers several, write module = \"NAME\" with the name that it gives to the app")
	if it.key == "callable" {
		it.name = ""
		it.replace("it is about Python: an app has a name, and no callable in it")
	}
}

// nameModule is for a file with mounts, where without module nothing is served at "/".
func (t *translator) nameModule() {
	mounts := t.has("mount")
	for _, it := range t.items {
		switch {
		case it.verdict != replaced || it.name == "" || it.table:
		case it.to == "module" && !mounts:
			it.to = ""
			t.module(it)
		case it.to == "" && mounts && !t.has("module"):
			it.to, it.toml = "module", quote(it.name)
			it.replace("a Go program has its apps compiled in: put the name here that it gives to this one, " + it.toml + " is guessed")
		}
	}
}

// appName guesses the name of the app in a Go program: shop for shop.wsgi:application and
// for /srv/shop.py.
func appName(v string) string {
	v, _, _ = strings.Cut(v, ":")
	if strings.Contains(v, "/") || strings.HasSuffix(v, ".py") || strings.HasSuffix(v, ".wsgi") {
		base := path.Base(v)
		v = strings.TrimSuffix(base, path.Ext(base))
	}
	v, _, _ = strings.Cut(v, ".")
	if v = strings.TrimSpace(v); v == "" {
		return "app"
	}
	return v
}

func (t *translator) mount(it *item) {
	at, app, ok := strings.Cut(it.value, "=")
	if !ok {
		it.leaveOut("want /path=app")
		return
	}
	if at == "/" || at == "" {
		it.value = app
		t.module(it)
		return
	}
	name := appName(app)
	t.tables(it, "mount", "path = "+quote(at), "module = "+quote(name))
	it.note = "put the name here that the program gives to the app, " + quote(name) + " is guessed"
}

func (t *translator) tables(it *item, key string, rows ...string) {
	t.put(it, key, value{})
	it.table, it.rows = true, rows
}

func (t *translator) master(it *item) {
	v := yes(it.value)
	if v.toml == "false" {
		it.leaveOut("off would be one process for debuggers here, without respawn and reload")
		return
	}
	t.put(it, "master", v)
}

// socket is all that is bound and speaks uwsgi or HTTP without TLS.
func (t *translator) socket(it *item) {
	key := "http-socket"
	if it.key == "socket" && t.proto != "" && t.proto != "uwsgi" && t.proto != "http" {
		it.leaveOut("protocol = " + t.proto + " is not spoken here: let the web server in front use uwsgi or HTTP")
		return
	}
	if it.key == "uwsgi-socket" || it.key == "socket" && t.proto != "http" {
		key = "socket"
	}
	v, why := t.bound(it.value)
	if why != "" {
		it.leaveOut(why)
		return
	}
	t.put(it, key, v)
	it.list = true
	if it.key == "socket" && key == "http-socket" {
		it.replace("protocol = http makes it an http-socket")
	}
}

// bound is the address of a socket. "=0" stands for the first shared-socket.
func (t *translator) bound(v string) (value, string) {
	if n, ok := strings.CutPrefix(v, "="); ok {
		i, err := strconv.Atoi(n)
		if err != nil || i < 0 || i >= len(t.sharedAt) {
			return value{}, "there is no shared-socket of that number"
		}
		a := address(t.sharedAt[i])
		return withNote(a, "the address of that shared-socket"), ""
	}
	return address(v), ""
}

func (t *translator) shared(it *item) {
	it.replace("every worker has every socket; the address stands where the number is used")
}

func (t *translator) protocol(it *item) {
	it.replace("the key says what is spoken: socket is uwsgi, http-socket is HTTP")
}

// https never drops the demand for client certificates in silence.
func (t *translator) https(it *item) {
	p := tlsParts(it.value)
	v, why := t.bound(p["addr"])
	switch {
	case why != "":
		it.leaveOut(why)
	case p["addr"] == "" || p["cert"] == "" || p["key"] == "":
		it.leaveOut("want address,cert,key")
	case p["ca"] != "":
		it.leaveOut("client certificates are not asked for here: let nginx in front do that, with ssl_verify_client")
	default:
		t.tables(it, "https-socket", "address = "+v.toml, "cert = "+quote(p["cert"]), "key = "+quote(p["key"]))
		it.note = v.note
		if p["ciphers"] != "" {
			it.note = "ciphers are Go's own choice"
		}
	}
}

// tlsParts reads address,cert,key,ciphers,ca and the form of https2, addr=address,cert=...
func tlsParts(v string) map[string]string {
	p := map[string]string{}
	names := []string{"addr", "cert", "key", "ciphers", "ca"}
	for i, field := range strings.Split(v, ",") {
		if name, val, ok := strings.Cut(field, "="); ok && name != "" {
			if name == "client_ca" || name == "clientca" {
				name = "ca"
			}
			p[name] = val
		} else if i < len(names) {
			p[names[i]] = field
		}
	}
	return p
}

func (t *translator) env(it *item) {
	name, v, ok := strings.Cut(it.value, "=")
	if !ok {
		it.leaveOut("want NAME=value")
		return
	}
	it.name = name
	t.tables(it, "env", bareOrQuoted(name)+" = "+quote(v))
}

func bareOrQuoted(key string) string {
	if key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == "" {
		return key
	}
	return quote(key)
}

// log is the log of everything, as long as requests have none of their own.
func (t *translator) log(it *item) {
	t.put(it, "logto", logTarget(it.value))
}

// pidfile: the safe ones are written after chdir.
func (t *translator) pidfile(it *item) {
	f := fromStart
	if strings.HasPrefix(it.key, "safe-") {
		f = text
	}
	t.put(it, "pidfile", f(it.value))
}
