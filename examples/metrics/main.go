// Command metrics is a small shop that counts what it does, and the dashboard and the alerts
// for it and for the server below it.
//
// It shows what an application needs to do for that: keep a registry, count in it, and
// name it in App.Gatherer. The workers share no memory and each has its own numbers;
// the stats address shows one sum. README.md starts it with Prometheus.
package main

import (
	"context"
	"net/http"

	"github.com/seed17661985/ostler/server"
)

func main() { server.Main(app()) }

// app makes the registry before any worker runs New, because the worker is asked for metrics
// by way of the App. The master makes one, too, and leaves it alone.
func app() server.App {
	m := newMeters()
	return server.App{
		Name:     "shop",
		New:      func(context.Context) (http.Handler, error) { return newShop(m), nil },
		Gatherer: m.registry,
		// Gauges are added up: two shop_orders_in_progress in one worker and one in the other
		// are three. That would be wrong for what is the same in all; during a reload
		// the new workers are right. shop_info and shop_last_order_timestamp_seconds need no
		// rule, their endings say that the largest counts.
		Gauges: map[string]server.GaugeMerge{"shop_catalog_items": server.GaugeLast},
	}
}
