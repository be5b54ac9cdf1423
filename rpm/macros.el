# What EL's build hosts have from redhat-rpm-config and systemd-rpm-macros, for building elsewhere.
%_unitdir /usr/lib/systemd/system
%_tmpfilesdir /usr/lib/tmpfiles.d
%_sysusersdir /usr/lib/sysusers.d
%_localstatedir /var
%_vendor redhat
%systemd_requires \
Requires(post): systemd \
Requires(preun): systemd \
Requires(postun): systemd \
%{nil}
%systemd_post() \
if [ $1 -eq 1 ] && [ -x /usr/bin/systemctl ]; then \
    systemctl --no-reload preset %{?*} >/dev/null 2>&1 || : \
fi \
%{nil}
%systemd_preun() \
if [ $1 -eq 0 ] && [ -x /usr/bin/systemctl ]; then \
    systemctl --no-reload disable --now %{?*} >/dev/null 2>&1 || : \
fi \
%{nil}
%systemd_postun() \
if [ -x /usr/bin/systemctl ]; then \
    systemctl daemon-reload >/dev/null 2>&1 || : \
fi \
%{nil}
%systemd_postun_with_restart() \
%systemd_postun \
if [ $1 -ge 1 ] && [ -x /usr/bin/systemctl ]; then \
    systemctl try-restart %{?*} >/dev/null 2>&1 || : \
fi \
%{nil}
