// Package proxyconf writes the configuration of the front end that stands before an ostler
// server, from that server's own configuration: nginx, Apache, lighttpd, HAProxy and Caddy.
//
//	config.Config + Options ─▶ site ─▶ template of the front end ─▶ text ─▶ the front end's own check
//
// What it writes agrees with the file: protocol and address of the socket, the largest body,
// how long an answer may take, where the static files are.
package proxyconf
