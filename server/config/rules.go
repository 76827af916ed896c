package config

// rules checks what no key can tell alone. A key whose own value was refused takes no
// part: one mistake, one message.
func (p *parser) rules(c *Config) {
	p.deriveControl(c)
	p.haveSocket()
	p.haveOwnAddress()
	p.haveOwnFile()
	p.protectUwsgi()
	p.serveNoSecrets()
	p.collectApart(c)
	p.chainOrSurge(c)
	p.evilIsWorse(c)
	p.mountHarakiri(c)
	p.queueIsOurs(c)
	p.scales(c)
	if !c.Master {
		p.withoutMaster(c)
	}
}

func (p *parser) conflict(path, format string, args ...any) {
	p.report(p.at.find(path), path, format, args...)
}

// deriveControl puts the control socket beside the pidfile: whoever can name the one can
// name the other.
func (p *parser) deriveControl(c *Config) {
	if c.Pidfile == "" || p.given("control") {
		return
	}
	a := Address{Network: "unix", Addr: c.Pidfile + ".ctl"}
	if err := a.kernel(); err != nil {
		p.conflict("pidfile", "no room for the control socket beside it, set control: %v", err)
		return
	}
	c.Control = a
	for _, f := range p.files {
		if f.name == a.Addr {
			p.conflict(f.path, "%s is the control socket that belongs to the pidfile, set control or choose another name", a)
		}
	}
}

func (p *parser) chainOrSurge(c *Config) {
	if c.ChainReload && c.ReloadSurge > 1 {
		p.conflict("reload-surge", "chain-reload replaces one worker after the other, which is reload-surge = 1: leave one of them out")
	}
}

func (p *parser) evilIsWorse(c *Config) {
	if c.EvilReloadOnRSS > 0 && c.EvilReloadOnRSS <= c.ReloadOnRSS {
		p.conflict("evil-reload-on-rss", "%s kills before reload-on-rss (%s) replaces: make it the larger one", c.EvilReloadOnRSS, c.ReloadOnRSS)
	}
}

// mountHarakiri gives mounts the limit of the server, unless they have their own.
func (p *parser) mountHarakiri(c *Config) {
	for i := range c.Mounts {
		if m := &c.Mounts[i]; m.Harakiri == asTheServer {
			m.Harakiri = c.Harakiri
		} else if m.Harakiri > 0 && !c.Master {
			p.conflict(child(index("mount", i), "harakiri"), needsMaster)
		}
	}
}

// queueIsOurs: nobody can reorder the kernel's queue, or find a health check in it.
func (p *parser) queueIsOurs(c *Config) {
	if c.MaxQueue == 0 && c.QueueOrder != "fifo" {
		p.conflict("queue-order", "%q needs max-queue: the kernel's queue has one order", c.QueueOrder)
	}
	if c.ReserveSlots == 0 {
		return
	}
	if c.MaxQueue == 0 {
		p.conflict("reserve-slots", "needs max-queue: a health check in the kernel's queue cannot be told from the others")
	}
	if len(c.HealthPaths) == 0 {
		p.conflict("reserve-slots", "needs health-path, the paths that may use them")
	}
}

func (p *parser) haveSocket() {
	// In a broken file the socket may be what could not be read.
	if !p.broken && !p.given("socket") && !p.given("http-socket") && !p.given("https-socket") {
		p.conflict("socket", "nothing to serve on: set socket (uwsgi, behind nginx), http-socket or [[https-socket]]")
	}
}

func (p *parser) haveOwnAddress() {
	for i, l := range p.listeners {
		for _, other := range p.listeners[:i] {
			if l.addr.overlaps(other.addr) {
				later, first := p.inOrder(l.path, other.path)
				p.conflict(later, "%s is already taken by %s on line %d", p.addrAt(later), first, p.at.find(first))
				break
			}
		}
	}
}

// inOrder blames the later of two paths: that is the line that was added last, most often.
func (p *parser) inOrder(a, b string) (later, first string) {
	if p.at.find(a) < p.at.find(b) {
		return b, a
	}
	return a, b
}

func (p *parser) addrAt(path string) string {
	for _, l := range p.listeners {
		if l.path == path {
			return l.addr.String()
		}
	}
	return ""
}

// haveOwnFile keeps a pidfile from being written over a log, or a socket from being bound
// where the app's binary is.
func (p *parser) haveOwnFile() {
	for i, f := range p.files {
		if f.name == p.file {
			p.conflict(f.path, "%s is this configuration file", f.name)
			continue
		}
		for _, other := range p.files[:i] {
			if f.name == other.name && (f.kind != other.kind || f.kind == ownFileOnly) {
				later, first := p.inOrder(f.path, other.path)
				p.conflict(later, "%s is already the file of %s on line %d", f.name, first, p.at.find(first))
				break
			}
		}
	}
}

// protectUwsgi: who may speak uwsgi may claim to be any client.
func (p *parser) protectUwsgi() {
	if p.given("allow-from") {
		return
	}
	for _, l := range p.listeners {
		if l.what == "uwsgi" && !l.addr.IsLoopback() {
			p.conflict(l.path, "%s can be reached from other machines: set allow-from to the proxies that may speak uwsgi, or listen on 127.0.0.1", l.addr)
		}
	}
}

const needsMaster = "needs a master; remove it or set master = true"

// withoutMaster refuses what only a master can do. Ignoring uid would run the handlers as
// root, and ignoring the others would at best surprise.
func (p *parser) withoutMaster(c *Config) {
	if p.given("processes") && c.Processes > 1 {
		p.conflict("processes", needsMaster)
	}
	for _, key := range []string{"daemonize", "touch-reload", "reload-probation", "reload-surge", "chain-reload", "max-requests", "max-worker-lifetime",
		"reload-on-rss", "evil-reload-on-rss", "reload-on-exception", "harakiri", "lame-duck", "crash-dir", "cpu-affinity", "cheaper", "uid", "gid"} {
		if p.given(key) {
			p.conflict(key, needsMaster)
		}
	}
}
