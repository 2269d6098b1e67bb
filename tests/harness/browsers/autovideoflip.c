/*
 * A GStreamer plugin with one element, `autovideoflip`: the name under which WebKitGTK's MediaRecorder asks for something that turns pictures
 * by their orientation tag. GStreamer has it from 1.24 on. With an older one (Debian 12 has 1.22) WebKit leaves its encoder unlinked and the
 * recorder of a camera never gives a byte. Here the element is a bin around `videoflip`, which always turns by the tag.
 */
#include <gst/gst.h>

#define PACKAGE "drawercam-tests"

typedef struct { GstBin bin; } Flip;
typedef struct { GstBinClass bin_class; } FlipClass;
GType flip_get_type(void);
G_DEFINE_TYPE(Flip, flip, GST_TYPE_BIN)

enum { VIDEO_DIRECTION = 1 };

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static void add_ghost_pad(Flip *self, GstElement *inner, const char *name)
{
    GstPad *pad = gst_element_get_static_pad(inner, name);
    gst_element_add_pad(GST_ELEMENT(self), gst_ghost_pad_new(name, pad));
    gst_object_unref(pad);
}

static void flip_init(Flip *self)
{
    GstElement *inner = gst_element_factory_make("videoflip", NULL);
    g_return_if_fail(inner != NULL);
    gst_util_set_object_arg(G_OBJECT(inner), "video-direction", "auto");
    gst_bin_add(GST_BIN(self), inner);
    add_ghost_pad(self, inner, "sink");
    add_ghost_pad(self, inner, "src");
}

/* WebKit sets the direction to "auto", which it already is. */
static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec) {}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    g_value_set_string(value, "auto");
}

static void flip_class_init(FlipClass *klass)
{
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    g_object_class_install_property(object_class, VIDEO_DIRECTION,
        g_param_spec_string("video-direction", "Video direction", "Always by the orientation tag", "auto", G_PARAM_READWRITE));
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "autovideoflip", "Filter/Effect/Video", "Turns video by its tag", "drawercam");
}

static gboolean plugin_init(GstPlugin *plugin)
{
    return gst_element_register(plugin, "autovideoflip", GST_RANK_NONE, flip_get_type());
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, autovideoflip, "Stands in for a newer element", plugin_init, "1", "LGPL", PACKAGE, "-")
