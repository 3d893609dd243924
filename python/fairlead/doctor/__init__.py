"""`fairlead doctor`: what is wrong between here and the models, and what to do about it.

examine    everything, one after the other
places     what there is to look at: the deployments of a configuration, or the providers with a key
keys       keys of the environment, by their shape
network    names, connections, certificates, proxies
service    the service's own word: models, keys, credits, its clock
offline    a local upstream instead of all services
report     what was found, as text or JSON; no key is ever in it
"""
