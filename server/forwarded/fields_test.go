package forwarded

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func trusting(networks ...string) Trust {
	var t Trust
	for _, n := range networks {
		if n == "unix" {
			t.Unix = true
			continue
		}
		t.Networks = append(t.Networks, netip.MustParsePrefix(n))
	}
	return t
}

// seen passes a request through the handler and tells what came out.
func seen(t Trust, peer string, header http.Header) (remote, host, scheme string) {
	r := httptest.NewRequest("GET", "http://own.example/", nil)
	r.RemoteAddr, r.Header = peer, header
	t.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		remote, host, scheme = r.RemoteAddr, r.Host, Scheme(r)
	})).ServeHTTP(httptest.NewRecorder(), r)
	return remote, host, scheme
}

func TestTheClientIsTheFirstWhoIsNotAProxy(t *testing.T) {
	trust := trusting("10.0.0.0/8", "fd00::/8", "unix")
	for _, tc := range []struct{ peer, list, want string }{
		{"10.0.0.1:5", "192.0.2.7", "192.0.2.7:0"},
		{"10.0.0.1:5", "192.0.2.7:4711", "192.0.2.7:4711"},
		{"10.0.0.1:5", "6.6.6.6, 192.0.2.7", "192.0.2.7:0"},                     // the client's own word comes first
		{"10.0.0.1:5", "6.6.6.6, 10.0.0.9, 192.0.2.7, 10.0.0.2", "192.0.2.7:0"}, // two proxies
		{"10.0.0.1:5", "10.0.0.3, 10.0.0.2", "10.0.0.3:0"},                      // the client is within
		{"10.0.0.1:5", "192.0.2.7,10.0.0.2:80 ,	10.0.0.3", "192.0.2.7:0"},
		{"10.0.0.1:5", "192.0.2.7|10.0.0.2", "192.0.2.7:0"}, // two lines
		{"10.0.0.1:5", "2001:db8::5", "[2001:db8::5]:0"},
		{"10.0.0.1:5", "[2001:db8::5]", "[2001:db8::5]:0"},
		{"10.0.0.1:5", "[2001:db8::5]:99", "[2001:db8::5]:99"},
		{"10.0.0.1:5", "192.0.2.7, fd00::1", "192.0.2.7:0"},
		{"10.0.0.1:5", "::ffff:192.0.2.7", "192.0.2.7:0"},
		{"10.0.0.1:5", "192.0.2.7, unix:", "192.0.2.7:0"},
		{"10.0.0.1:5", "", "10.0.0.1:5"},
		{"10.0.0.1:5", "unknown", "10.0.0.1:5"},
		{"10.0.0.1:5", "192.0.2.7, _hidden, 10.0.0.2", "10.0.0.2:0"}, // as far as it is known
		{"10.0.0.1:5", "192.0.2.7, 10.0.0.2,", "10.0.0.1:5"},
		{"10.0.0.1:5", "192.0.2.7:port", "10.0.0.1:5"},
		{"10.0.0.1:5", "192.0.2.7 192.0.2.8", "10.0.0.1:5"},
		{"[::ffff:10.0.0.1]:5", "192.0.2.7", "192.0.2.7:0"},
		{"@", "192.0.2.7", "192.0.2.7:0"},
		{"", "192.0.2.7", "192.0.2.7:0"},
		{"11.0.0.1:5", "192.0.2.7", "11.0.0.1:5"}, // nobody we know
		{"[2001:db8::1]:5", "192.0.2.7", "[2001:db8::1]:5"},
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(tc.list, "|") {
			h.Add(fieldFor, line)
		}
		if got, _, _ := seen(trust, tc.peer, h); got != tc.want {
			t.Errorf("%s with %q: %s, want %s", tc.peer, tc.list, got, tc.want)
		}
		if got, _, _ := seen(Trust{}, tc.peer, h); got != tc.peer {
			t.Errorf("%s with %q and nobody trusted: %s", tc.peer, tc.list, got)
		}
	}
	if got, _, _ := seen(trusting("10.0.0.0/8"), "@", http.Header{fieldFor: {"192.0.2.7"}}); got != "@" {
		t.Errorf("a unix socket that is not trusted: %s", got)
	}
}

func TestHostAndSchemeAreThoseOfTheClientsHop(t *testing.T) {
	trust := trusting("10.0.0.0/8")
	for _, tc := range []struct{ peer, client, proto, host, wantScheme, wantHost string }{
		{"10.0.0.1:5", "", "https", "shop.example", "https", "shop.example"},
		{"10.0.0.1:5", "192.0.2.7", "HTTPS", "shop.example:8443", "https", "shop.example:8443"},
		{"10.0.0.1:5", "192.0.2.7", "http", "", "http", "own.example"},
		{"10.0.0.1:5", "192.0.2.7", "wss", "[2001:db8::1]:80", "https", "[2001:db8::1]:80"},
		{"10.0.0.1:5", "192.0.2.7", "ws", "[2001:db8::1]", "http", "[2001:db8::1]"},
		{"10.0.0.1:5", "6.6.6.6, 192.0.2.7", "https, http", "evil.example, shop.example", "http", "shop.example"}, // appended
		{"10.0.0.1:5", "192.0.2.7, 10.0.0.2", "https, http", "shop.example, inner", "https", "shop.example"},
		{"10.0.0.1:5", "192.0.2.7, 10.0.0.2", "https", "shop.example", "https", "shop.example"}, // set once
		{"10.0.0.1:5", "192.0.2.7", "gopher", "a b", "", "own.example"},
		{"10.0.0.1:5", "192.0.2.7", "https,", "a/b", "", "own.example"},
		{"11.0.0.1:5", "192.0.2.7", "https", "evil.example", "", "own.example"},
	} {
		h := http.Header{}
		for field, v := range map[string]string{fieldFor: tc.client, fieldProto: tc.proto, fieldHost: tc.host} {
			if v != "" {
				h.Set(field, v)
			}
		}
		_, host, scheme := seen(trust, tc.peer, h)
		if host != tc.wantHost || scheme != tc.wantScheme {
			t.Errorf("%+v: host %q, scheme %q", tc, host, scheme)
		}
		if tc.proto != "" && h.Get(fieldProto) != tc.proto {
			t.Errorf("%+v: the field reached the handler as %q", tc, h.Get(fieldProto))
		}
	}
}

// net/http looks for the form in the request it made.
func TestTheRequestStaysTheSameOne(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr, r.Header = "10.0.0.1:5", http.Header{fieldProto: {"https"}}
	trusting("10.0.0.0/8").Handler(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
		if inner != r || Scheme(r) != "https" {
			t.Errorf("the handler got %p with scheme %q, want %p", inner, Scheme(r), r)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

func TestTrustComparesAddresses(t *testing.T) {
	trust := trusting("10.0.0.0/8", "fe80::/10")
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 1}:       true,
		&net.TCPAddr{IP: net.ParseIP("::ffff:10.1.2.3")}:       true,
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}: true,
		&net.TCPAddr{IP: net.IPv4(11, 1, 2, 3)}:                false,
		&net.TCPAddr{}:                                         false,
		&net.UnixAddr{Name: "@", Net: "unix"}:                  false,
	} {
		if trust.Peer(addr) != want {
			t.Errorf("%v: %v, want %v", addr, !want, want)
		}
	}
	if !trusting("unix").Peer(&net.UnixAddr{}) || trusting("unix").Peer(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}) {
		t.Error("unix is not everybody on unix sockets")
	}
}

// Laws: whatever the fields say, what the handler gets is well formed: an address with a
// port that is the peer's or stands in the list, a host that can stand in a URL, a scheme
// we know; and the nearest entry, if it is an address of a client, is the client.
func FuzzFields(f *testing.F) {
	f.Add("192.0.2.7, 10.0.0.2", "https, http", "shop.example:80")
	f.Add("unknown, [::1]:5,,unix:", "wss", "[2001:db8::1%25x]")
	f.Add("fe80::1%eth0", "", "a:b:c")
	f.Add(" ,\t,::ffff:1.2.3.4", ",", "[]")
	trust := trusting("10.0.0.0/8", "unix")
	f.Fuzz(func(t *testing.T, list, proto, host string) {
		h := http.Header{fieldFor: {list}, fieldProto: {proto}, fieldHost: {host}}
		remote, gotHost, scheme := seen(trust, "10.0.0.1:5", h)
		ap, err := netip.ParseAddrPort(remote)
		if err != nil {
			t.Fatalf("RemoteAddr %q of %q", remote, list)
		}
		if u, err := url.Parse("https://" + gotHost + "/"); err != nil || u.Host != gotHost || u.Path != "/" {
			t.Fatalf("Host %q of %q: %v", gotHost, host, err)
		}
		if scheme != "" && scheme != "http" && scheme != "https" {
			t.Fatalf("scheme %q of %q", scheme, proto)
		}
		last := strings.Trim(list[strings.LastIndexByte(list, ',')+1:], " \t")
		if entry, ok := parseEntry(last); ok && !trust.address(entry.Addr()) && ap != entry {
			t.Fatalf("%q is the client of %q", remote, list)
		}
		if r, h, s := seen(trust, "192.0.2.99:7", h); r != "192.0.2.99:7" || h != "own.example" || s != "" {
			t.Fatalf("a stranger was believed: %q %q %q", r, h, s)
		}
	})
}
