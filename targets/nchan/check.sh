# Shows what is missing.
module=/usr/lib/nginx/modules/ngx_nchan_module.so
nginx -v && [ -f "$module" ] && exit
echo "nginx with the module $module is needed: apt install nginx libnginx-mod-nchan" >&2
exit 1
