package config

import "strings"

// foreign is an option of uWSGI that has no place here. People arrive with a file that
// worked for years; each of its lines deserves an answer.
type foreign struct {
	keys   string // separated by spaces; a last "*" stands for any rest
	answer string
}

func foreignKeys() []foreign {
	const useKey = "written otherwise here: use "
	return []foreign{
		// Another key of ours does it.
		{"http http-to http-processes http-workers", useKey + "http-socket, the workers speak HTTP themselves"},
		{"https https2", useKey + "[[https-socket]] with address, cert and key below it"},
		{"http11-socket", useKey + "http-socket"},
		{"http-timeout so-send-timeout so-write-timeout socket-send-timeout socket-write-timeout", useKey + "socket-timeout"},
		{"http-harakiri", useKey + "harakiri"},
		{"uwsgi-socket shared-socket", useKey + "socket"},
		{"abstract-socket", useKey + "socket = \"@name\""},
		{"wsgi wsgi-file file callable mule-module", useKey + "module, the name of an app that the program registers"},
		{"safe-pidfile safe-pidfile2 pidfile2", useKey + "pidfile, which is written after the sockets are bound"},
		{"daemonize2", useKey + "daemonize, which waits until the server is ready"},
		{"logto2 log-master logger threaded-logger", useKey + "logto"},
		{"master-fifo", useKey + "control, and the commands reload, stop and status"},
		{"reload-mercy mule-reload-mercy", useKey + "worker-reload-mercy"},
		{"stats-http stats-server", useKey + "stats, which speaks HTTP"},
		{"chdir2", useKey + "chdir"},
		{"envdir for-readline", useKey + "env-file"},
		{"logger-req", useKey + "req-logger"},
		{"touch-workers-reload touch-chain-reload fs-reload fs-brutal-reload py-autoreload", useKey + "touch-reload"},
		{"log-encoder log-req-encoder logformat", useKey + "log-format and req-format"},
		{"stats-push carbon statsd", useKey + "stats and let Prometheus read it"},

		{"reload-on-as", useKey + "reload-on-rss: a Go program reserves far more addresses than it uses memory"},
		{"evil-reload-on-as", useKey + "evil-reload-on-rss: a Go program reserves far more addresses than it uses memory"},

		// It is always so.
		{"static-map2", useKey + "static-map, with the folder that the prefix stands for"},
		{"static-gzip*", "not needed: a compressed sibling (.br, .zst, .gz) of a file always goes to clients that understand it"},
		{"static-safe static-skip-ext", "not needed: only what is inside the folder is ever served, and nothing whose name begins with a dot"},
		{"strict", "not needed: unknown keys are always refused"},
		{"need-app", "not needed: a server without a working app never starts"},
		{"die-on-term exit-on-reload", "not needed: TERM always stops gracefully, HUP reloads"},
		{"lazy lazy-apps", "not needed: every worker always starts the app itself"},
		{"enable-threads single-interpreter thread-stacksize threads-stacksize thread-stack-size threads-stack-size", "not needed: it is about Python, Go handlers always run in parallel"},
		{"thunder-lock lock-engine ftok", "not needed: workers accept without a lock"},
		{"buffer-size max-vars", "not needed: a request head may always have 64 KiB"},
		{"log-x-forwarded-for", "not needed: over uwsgi the log always has the address that the front end passes"},
		{"no-orphans", "not needed: workers always stop when their master is gone"},
		{"close-on-exec close-on-exec2", "not needed: no descriptor is ever inherited by accident"},
		{"manage-script-name", "not needed: SCRIPT_NAME is always honoured"},
		{"log-reopen log-master-bufsize log-master-stream log-master-req-stream touch-logreopen", "not needed: logs are reopened on USR1"},
		{"tcp-nodelay so-keepalive", "not needed: always on"},

		// It will not come; what does the job instead.
		{"cheap die-on-idle cheaper-idle", "not available: with cheaper and idle the number of workers goes down, and one always stays to answer"},
		{"cheaper-rss-limit-soft cheaper-rss-limit-hard", "not available: reload-on-rss bounds the memory of each worker, processes their number"},
		{"cheaper-busyness-backlog-step", "not available: a queue adds as many workers as cheaper-step says"},
		{"cheaper-busyness-backlog-multiplier cheaper-busyness-backlog-nonzero", "not available: workers that a queue added go like the others, when cheaper-busyness-multiplier cycles were calm"},
		{"post-buffering post-buffering-bufsize", "not available: bodies are streamed to the handler; nginx buffers them in front of it"},
		{"emperor emperor-* vassal* vassals-* imperial-*", "not available: run one server per file, with a systemd template unit"},
		{"zerg zerg-*", "not available: change the number of workers with the signals TTIN and TTOU"},
		{"subscribe* subscription-* fastrouter* rawrouter* sslrouter* legion*", "not available: nginx's upstream or a load balancer spreads requests over machines"},
		{"plugin plugins plugins-dir plugin-* need-plugin need-plugins", "not available: there are no plugins, the app is compiled in"},
		{"python* py-* pyhome pyargv virtualenv venv home pp pypy* perl* psgi* rack* ruby* gem* lua* php* cgi* wsgi-* catch-exceptions", "not available: it is about another language, apps are Go handlers compiled into the program"},
		{"gevent* async asyncio greenlet ugreen", "not available: every handler has its own goroutine"},
		{"route route-* error-route* final-route* response-route*", "not available: route and rewrite in the handler or in the web server in front"},
		{"add-header rem-header collect-header", "not available: set headers in the handler or in the web server in front"},
		{"error-page-*", "not available: the handler or the web server in front makes error pages"},
		{"static-expires*", "not available: files whose names have a hash (static-hashed) are kept for ever, others are asked for again, which costs a 304"},
		{"offload-threads offload-thread file-serve-mode fileserve-mode honour-range", "not available: the kernel sends files (sendfile), or the web server in front does"},
		{"check-static-docroot mime-file mimefile", "not available: index.html is the index, and names tell the types; let the web server in front serve files if that is not enough"},
		{"spooler* mule mules farm* cron cron2 unique-cron timer", "not available: run background work as a program of its own, with a systemd service or timer"},
		{"attach-daemon* smart-attach-daemon* legion-attach-*", "not available: run other programs as systemd services"},
		{"cache cache2 cache-* queue sharedarea locks", "not available: use a cache server, or memory within one worker"},
		{"hook-* exec-* call-* mount-as-* umount-* touch-exec worker-exec worker-exec2", "not available: use ExecStartPre= and its relatives in the systemd unit"},
		{"chroot cap unshare namespace* ns* pivot_root pivot-root cgroup* jail* limit-as limit-nofile limit-nproc max-fd rlimit* oom-adj", "not available: systemd sets limits and isolation for the unit"},
		{"procname* auto-procname", "not available: workers can be told apart by their control group and by status"},
		{"reuse-port freebind tcp-fast-open* tcp-fastopen* no-defer-accept socket-sndbuf socket-rcvbuf", "not available: the sockets have the kernel's own settings"},
		{"log-4xx log-5xx log-slow log-zero log-big log-ioerror log-route log-req-route log-filter log-drain", "not available: the access log has every request or none (disable-logging)"},
		{"touch-logrotate log-maxsize log-backupname log-truncate logfile-chmod logfile-chown logdate log-date log-micros log-prefix", "not available: logrotate rotates files (USR1 reopens them), lines always have a time"},
		{"harakiri-no-arh no-harakiri-arh no-harakiri-after-req-hook harakiri-verbose", "not needed: what is too slow is always reported, with its stacks"},
		{"harakiri-queue-threshold", "not available: a worker with a stuck request is replaced whatever the queue is"},
		{"harakiri-graceful-signal", "not available: the handler is told by its context"},
		{"mule-harakiri spooler-harakiri", "not available: run background work as a program of its own, and give it a time limit there"},
		{"ini json yaml yml xml include inherit set if-* end-if for endfor print ignore-initial* vhost vhost-*", "not available: the file has no logic of its own; make it with a tool of your choice"},
		{"snmp* rpc* signal* alarm* metric metric-* metrics-* enable-metrics", "not available: read stats or its /metrics"},
		{"cheaper-busyness-verbose cheaper-algos-list", "not needed: each change of the number is logged with its reason; cheaper-algo is busyness or backlog"},
		{"stats-min stats-minified stats-no-cores stats-no-metrics", "not needed: whoever reads stats picks what it wants"},
		{"enable-proxy-protocol http-enable-proxy-protocol", "not needed: a PROXY header is read from those in trusted-proxies"},
		{"forkbomb-delay die-on-no-workers", "not needed: a worker that dies again and again is started with growing pauses"},
		{"websocket-* websockets-*", "not needed: a handler upgrades its connection itself, with a library of its choice"},
		{"add-gid no-initgroups immediate-uid immediate-gid master-as-root", "not needed: workers start as uid with the groups of that user, and the master keeps its own"},
		{"notify-socket", "not needed: systemd names the socket itself"},
		{"max-requests-delta max-worker-lifetime-delta", "not needed: workers always differ by up to a tenth"},
		{"http-auto-chunked http-chunked-input http-raw-body http-websockets http-manage-expect", "not needed: the workers speak HTTP themselves, with chunked bodies and websockets"},
		{"ignore-sigpipe ignore-write-errors disable-write-exception write-errors-tolerance", "not needed: a client that goes away ends the context of its request and nothing else"},
		{"fastcgi-socket fastcgi-nph-socket scgi-socket scgi-nph-socket suwsgi-socket puwsgi-socket raw-socket zmq-socket zeromq-socket", "not available: let the web server in front use uwsgi or HTTP"},
		{"sni sni-* ssl-*", "not available: an https-socket has one certificate and Go's own choice of ciphers; let the web server in front have more"},
		{"unenv", "not available: leave the variable out where the server is started, or set it empty in [env]"},
		{"wait-for-* wait-iface* wait-interface*", "not available: systemd orders units, with After= and Requires="},
		{"reload-on-exception-* reload-on-fd brutal-reload-on-fd", "not available: reload-on-exception replaces a worker after any panic"},
		{"memory-report", "not needed: stats always have the memory of each worker"},
	}
}

func findForeign(key string) (string, bool) {
	for _, f := range foreignKeys() {
		for k := range strings.FieldsSeq(f.keys) {
			prefix, open := strings.CutSuffix(k, "*")
			if k == key || open && strings.HasPrefix(key, prefix) {
				return f.answer, true
			}
		}
	}
	return "", false
}
